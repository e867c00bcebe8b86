"""Connectors carry out one kind of outside effect, such as a mail; the gateway alone calls them and hands them the credential."""
