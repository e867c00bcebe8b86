"""
A scripted provider of models on loopback that keeps a ledger of its own.

It speaks the formats of OpenAI, Anthropic and Gemini well enough for their own client libraries, answers the same
question the same way for ever, misbehaves where it is told to, and bills what it generated. What a gateway in front
of it charged can be compared with that ledger, line by line.

`server.serving` gives one inside a test; `python -m freehold.testing.upstream --port 9000` is one as a process.
"""
