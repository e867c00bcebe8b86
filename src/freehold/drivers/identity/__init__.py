"""Providers that tell who somebody is."""
