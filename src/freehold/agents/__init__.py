"""
Agents: what they are (`publishing`) and how one turn of a run goes (`loop`).

A turn shows the model labelled parts (`context`, `chat`), asks it (`asking`) and carries out what it calls
(`calling`, through registered tool sources). Every question and every call is a recorded step of the run.
Nothing here opens a secret, judges a call or reaches the network: that is the gateway's.
"""
