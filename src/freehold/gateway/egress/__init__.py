"""
The way out for programs in sandboxes: by a connection (`relay`, `websocket`), or to a host granted (`tunnel`, `plain`).

Who speaks is known by the box; each session is judged, written down before anything is dialled, counted while it
lasts, cut when whoever it is for may no longer, and written down again.

`front` and `routing` find out what is asked for; `standing` and `hosts_granted` say whether it may be; `metering` keeps
the sessions; `exchange` carries requests with their answers, `pipe` carries bytes.
"""
