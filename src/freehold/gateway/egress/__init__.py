"""
The way out for programs in sandboxes: by a connection (`relay`), or to a host that was granted (`tunnel`, `plain`).

Who speaks is known by the box; each session is judged, written down before anything is dialled, counted while it
lasts, cut when whoever it is for may no longer, and written down again.
"""
