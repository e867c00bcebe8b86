"""Write every page of the reference that the code knows."""

from tools.reference.pages import FOLDER, PAGES

for name, write in PAGES.items():
    (FOLDER / name).write_text(write())
