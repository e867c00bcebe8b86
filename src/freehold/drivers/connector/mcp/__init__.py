"""
Tools of programs that others run: a client of the Model Context Protocol over streamable HTTP.

`wire` spells messages, and `envelope` what they say about themselves where there are no sessions; `told` says what a
server's words mean here, `session` talks to one server, `driver` keeps sessions. It is small and ours because the
official library would bring a dozen packages into the one process that opens secrets.
"""
