"""
The engine on DBOS Transact, in our own database file.

`driver` is the engine as every process and the worker see it; `claiming` chooses which queued segments begin, and
`kicking` wakes the thread that looks for them.
"""
