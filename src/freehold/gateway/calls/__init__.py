"""
Model calls: who asks, where it goes, what it may cost, and the bytes in between.

`door` takes HTTP, `engine` carries a call out, `routing` says where it goes; `gateway.money` is asked before and told
after. Nothing here knows a provider: drivers do, and nothing a caller or a model said is kept.
"""
