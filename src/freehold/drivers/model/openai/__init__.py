"""Providers that speak OpenAI chat completions: `driver` dials, `reading` puts together what comes back."""
