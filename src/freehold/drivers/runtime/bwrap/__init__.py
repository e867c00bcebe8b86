"""
Sandboxes made with bubblewrap: every namespace apart, a read-only root, a system call filter, and limits.

`making` makes and ends them and is all that ever runs as root; it works inside the worker, or inside `freehold up`
behind `spawner` when the worker is not root. `driver` is the runtime as the worker sees it, whichever way it is.
"""
