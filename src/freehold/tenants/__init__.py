"""
Tenants: who owns things here, and who may ask for what.

A tenant is created (`creating`), keys act for it or for the platform (`keys`, `operator`), and whatever
comes in with a request is turned into a `Caller` (`caller`). Nothing here knows of agents or runs.
"""
