"""
Sandboxes: the sealed places in which agents' commands run; one per run, woken by the step that needs it.

A run asks for its sandbox (`waking`), a runtime driver makes it real (`runtime`), and what is asked of it goes over
a framed line to the small program inside (`guest`). Nothing here knows what a run is for, and nothing here holds a
secret; whatever comes back from inside is hostile until it has been checked.
"""
