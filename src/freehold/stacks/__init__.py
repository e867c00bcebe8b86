"""Stacks: applications of a tenant that run as containers, from a template to a healthy address. Nothing here talks to an agent."""
