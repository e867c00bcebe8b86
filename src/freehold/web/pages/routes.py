"""All pages, and the files they need."""

from typing import Final

from fastapi import APIRouter

from freehold.web.pages import approving, static

ROUTERS: Final[tuple[APIRouter, ...]] = (static.router, approving.router)
