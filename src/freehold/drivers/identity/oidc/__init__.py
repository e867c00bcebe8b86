"""
OpenID Connect, the side that asks: one provider, the code flow with PKCE.

`fetching` speaks HTTP with the provider, `metadata` reads what it says about itself, `tokens` checks what it
signed, `driver` puts them together. No token leaves this folder.
"""
