"""
Connections of kind `http`: one account at one API, and the methods and paths of it that are allowed.

`operations` turns an effect into a request, `gateway.requesting` judges and shapes it, `driver` sends it once, and
`results` makes of the answer what a model can read.
"""
