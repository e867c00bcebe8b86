"""Model drivers speak to one kind of model provider; the gateway alone calls them and hands them the credential."""
