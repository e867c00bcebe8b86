"""Writes the parts of the reference that the code itself knows; a rules test compares them with it."""
