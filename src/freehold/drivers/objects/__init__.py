"""Where the files of tenants lie."""
