"""
Web: the HTTP API, one file per noun, routes only.

`building` puts it together, `gate` lets in who has a key, `access` says what a caller may touch, `problems`
spells every error. A route finds out who asks, calls one function and shows the noun.
"""
