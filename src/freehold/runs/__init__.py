"""
Runs: what is going on, from the first word to the last event.

A run is a row of segments; a segment ends with done, fail or park (`endings`). Starting, deciding,
signalling and cancelling are transactions over the database (`starting`, `deciding`, `signalling`,
`cancelling`, `ending`); the engine (`engine`) only brings queued segments to a worker, which carries
them out (`segments`, `segment`). Clockwork and reconciling find what nobody else woke. Nothing here
knows what an agent is made of, and nothing here holds a secret.
"""
