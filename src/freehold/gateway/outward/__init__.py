"""
The way to other machines: names are judged, addresses are judged, and exactly what was judged is connected to.

`hosts` spells a name one way, `ranges` says what an address is, `guard` resolves and decides, `client` speaks HTTP.
Nothing else in the gateway turns a name that a tenant or a program stated into a connection.
"""
