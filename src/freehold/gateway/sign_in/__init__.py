"""
Signing connections in to accounts (OAuth 2): a person's consent becomes tokens, and tokens stay fresh.

`shaping` says what is sent and what an answer means, `asking` sends it, `flows` takes a person to the provider and
back, `accounts` prolongs tokens, lets go of them and looks after them. Tokens lie in the vault and go nowhere but to
the provider that gave them and, through the connection, to its API.
"""
