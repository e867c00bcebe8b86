"""
The shaping of requests that carry a credential: what may be asked, what the caller's words become, what comes back.

Pure: nothing here connects to anything. `paths` reads paths one way, `allowing` judges method and path, `callers` drops
the headers and parameters that could be a caller's own key, `injecting` adds the connection's, `shaping` does all of
that in order, and `checking` says beforehand whether it can be done; `answers`, `scrubbing` and `unpacking` are for the
way back.
"""
