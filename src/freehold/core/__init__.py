"""
Core: the nouns, their state tables, errors, ids and the clock.

Values in, values out: nothing here reads a file, a socket or the time, and nothing here
imports anything but the standard library. Everybody else may import it.
"""
