"""All pages, and the files they need."""

from typing import Final

from fastapi import APIRouter

from freehold.web.pages import account, approving, claiming, connecting, inviting, signing_in, static

ROUTERS: Final[tuple[APIRouter, ...]] = (
    static.router,
    signing_in.router,
    claiming.router,
    inviting.router,
    account.router,
    approving.router,
    connecting.router,
)
