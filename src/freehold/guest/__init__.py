"""
The guest: the small program that lives in a sandbox and does there what it is told.

It speaks frames over one descriptor it inherits and ends when that closes. It runs under whatever Python the machine
has, starts in milliseconds because it imports next to nothing, and knows nothing of the platform: it imports only the
standard library, and of that only what is cheap.
"""
