"""
The command line: a client of the API, and the way to start the platform.

One file per noun. Noun commands speak HTTP with a platform and know nothing of its inside; the commands
of `platform` start processes on this machine. Everything heavy is imported by the command that needs it,
so that a noun answers in the time of one request.
"""
