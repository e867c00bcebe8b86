"""
Gateway: the only way out, and the only process that opens secrets.

What a tenant or a model can influence leaves here: the call is judged (`grants`), written down before it is
made (`ledger`), made once (`models`, `effects`), metered and written down again. Two sockets tell who asks:
web decides and sets things up, the worker calls. Everybody else imports `gateway.client` only; drivers
implement `gateway.ports`. It never loads a plug-in and never speaks to the main database.
"""
