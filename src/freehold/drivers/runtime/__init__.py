"""Runtimes make sandboxes real; the protocol is `freehold.sandboxes.runtime`. They know how to isolate, not what for."""
