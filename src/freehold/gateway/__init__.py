"""
Gateway: the only way out, and the only process that opens secrets.

What a tenant or a model can influence leaves here: the call is judged (`grants`), written down before it is
made (`ledger`), made once (`models`, `effects`), metered and written down again. Two sockets tell who asks:
web decides and sets things up, the worker calls. Everybody else imports `gateway.client` only; drivers
implement `gateway.ports`. It never loads a plug-in and never speaks to the main database.

Of its rooms, `calls` answers whoever calls models and `money` knows what that costs; by `egress` programs in sandboxes
get out. Whoever goes out goes by `outward`, where every address is judged, and what carries a credential is shaped by
`requesting`, where headers are dropped and secrets put in and blotted out. `sign_in` keeps connections signed in to
accounts; what a connection can do, and what a version pinned of it, say `tools` and `openapi`.
"""
