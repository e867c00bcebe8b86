"""
Store: the database. Tables, migrations and one file per table.

Callers are handed a `Scope` that belongs to one tenant and see nouns through it, never rows; there
is no way to name another tenant's. What is true of the whole platform (tenants, keys, what is due)
is asked of `Platform`.
"""
