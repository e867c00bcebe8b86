"""
Vault: sealing and opening, imported by the gateway alone.

`keyfile` finds the key that wraps all others, `sealing` wraps tenants' keys with it and seals values with those.
Where sealed bytes are kept is the gateway's business; what is opened is never logged and never shown.
"""
