"""Catalog: the data that ships with the platform, such as templates, starter skills and tiers. Data only, no code that acts."""
