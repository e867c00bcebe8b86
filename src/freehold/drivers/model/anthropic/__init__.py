"""Anthropic: `format` sends, `asking` translates chat completions into Messages, `answers` reads what comes back."""
