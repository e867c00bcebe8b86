"""All pages, and the files they need."""

from typing import Final

from fastapi import APIRouter

from freehold.web.pages import account, approving, static

ROUTERS: Final[tuple[APIRouter, ...]] = (static.router, account.router, approving.router)
