"""Gemini: `format` sends, `asking` translates requests into its own, `answers` and `vectors` what comes back."""
