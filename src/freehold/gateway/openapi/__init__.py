"""
OpenAPI documents become tools: `reading` finds the operations, `arguments` their one flat schema, `schemas` follows.

Pure, and made for documents that nobody here wrote: whatever they say is capped in depth, size and number.
"""
