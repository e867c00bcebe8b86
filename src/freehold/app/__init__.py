"""
App: one composition per process, importing only what that process runs.

These are the only modules that pick drivers.
"""
