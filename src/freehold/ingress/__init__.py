"""
Ingress: what people and programs say becomes a message and a run; what agents answer leaves by the outbox.

`accepting` writes down what came in, `channel` says what a channel can do, `relaying` takes answers from the
outbox to the gateway. Nothing here opens a secret or a socket.
"""
