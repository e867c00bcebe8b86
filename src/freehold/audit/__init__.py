"""
Audit: a hash-chained record of who did what, one chain per tenant and one for the platform.

`canonical` gives things their one spelling, `chain` links and verifies (values in, values out), `recording`
appends a link inside the transaction of whoever acts, and reads the record back. Nothing here decides
anything, and no detail may hold a secret or a person's words: hashes and names only.
"""
