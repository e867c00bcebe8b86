"""
The pages people reach from a mail, a chat or the terminal: signing in, claiming, accepting, approving.

They are put together here and work without JavaScript; what they do is done by the same functions the API calls.
A template states structure, `texts/` the words, `static/` the looks. Nothing here decides who may do what.
"""
