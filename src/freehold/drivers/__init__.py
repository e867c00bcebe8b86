"""Drivers: everything that can be replaced, one file or folder each, behind a protocol of a lower layer. Only `app` picks one."""
