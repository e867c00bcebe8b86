"""Freehold: a self-hosted platform that runs AI agents for many tenants."""
