"""Conformance suites: the other half of each protocol. A driver is one that passes its suite."""
