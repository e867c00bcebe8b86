"""
The built-in rehearsal model: no model at all, and honest about it.

`phrases` reads what it is asked to do, `talk` finds words, `knobs` reads what is in its name, `driver` plays it.
It is deterministic, so that a demonstration and a test see the same thing twice.
"""
