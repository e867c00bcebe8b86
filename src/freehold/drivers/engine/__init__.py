"""Engines carry runs from segment to segment; the port is `freehold.runs`. What an engine stores is ids, never content."""
