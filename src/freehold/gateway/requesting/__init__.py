"""
The shaping of requests that carry a credential: what may be asked, what the caller's words become, what comes back.

Pure: nothing here connects to anything. `paths` reads paths one way, `allowing` judges method and path, `headers` and
`queries` drop whatever could be a caller's own key, `injecting` adds the connection's, `shaping` does all of that in
order; `answers`, `scrubbing` and `unpacking` are for the way back.
"""
