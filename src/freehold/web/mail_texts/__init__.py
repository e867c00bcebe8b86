"""The mails of the platform, one file per language."""
