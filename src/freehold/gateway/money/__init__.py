"""
Money: what a call may cost is held before it is made, what it did cost is written down after.

`books` decides, in memory and at once, for the one gateway there is; `meter` writes the rows that the books are
made from anew after every start.
"""
