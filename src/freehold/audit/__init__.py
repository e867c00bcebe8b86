"""
Audit: a record of who did what, written with the act and chained within a second, one chain per tenant and store.

`recording` writes a row inside the transaction of whoever acts; `sealing` numbers and chains what was written;
`chain` follows it (values in, values out), `heads` knows the signed ends, `verifying` judges an export without any
database. `asking` says by which way and in which request somebody acts, `texts` keeps what is personal apart.
Nothing here decides anything, and no detail may hold a secret or a person's words: hashes and names only.
"""
