"""Providers that speak OpenAI's formats: `format` sends, `answers` reads what comes back."""
