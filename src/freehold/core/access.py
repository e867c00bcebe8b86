"""
Who may do what: route → scope → role, all of it, in this one place.

A scope is `noun:read`, `noun:write` or `noun:admin`; admin implies write, write implies read. What is not listed is
denied: a route without a line here does not build, a role does what its lines say and nothing else. It is read on
each request, so a role that changes holds from the next one on.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from freehold.core.errors import Invalid

EVERYBODY: Final = "none"
"""The scope of what needs no caller: health, signed hooks, the ways to sign in."""
ALL: Final = "*"
"""Every scope there is."""

NOUNS: Final = (
    "agents", "approvals", "audit", "budgets", "channels", "connections", "keys", "members", "messages", "metrics",
    "models", "people", "platform", "provisioning", "runs", "secrets", "switches", "tenants", "tiers", "usage",
)  # fmt: skip
LEVELS: Final = ("read", "write", "admin")

_API: Final = """
GET     /me                                             self:read
PATCH   /me                                             self:write
POST    /login/code                                     none
POST    /login                                          none
POST    /logout                                         self:write
GET     /login/ways                                     none
POST    /claim                                          none
GET     /sessions                                       self:read
DELETE  /sessions                                       self:write
DELETE  /sessions/{session}                             self:write
GET     /passkeys                                       self:read
POST    /passkeys/challenge                             self:write
POST    /passkeys                                       self:write
DELETE  /passkeys/{passkey}                             self:write
POST    /login/passkey/challenge                        none
POST    /login/passkey                                  none
GET     /people                                         people:read
POST    /people                                         people:admin
GET     /people/{person}                                people:read
PATCH   /people/{person}                                people:admin
DELETE  /people/{person}/sessions                       people:admin
DELETE  /people/{person}/passkeys                       people:admin
POST    /people/{person}/login-code                     people:admin
GET     /tenants                                        tenants:read
POST    /tenants                                        provisioning:write
GET     /tenants/{tenant}                               tenants:read
PATCH   /tenants/{tenant}                               tenants:write
PUT     /tenants/{tenant}/tier                          tiers:write
GET     /tenants/{tenant}/quotas                        tenants:read
POST    /tenants/{tenant}/deploy                        tenants:admin
POST    /tenants/{tenant}/suspend                       platform:write
POST    /tenants/{tenant}/resume                        platform:write
DELETE  /tenants/{tenant}                               tenants:admin
POST    /tenants/{tenant}/restore                       platform:write
POST    /tenants/{tenant}/purge                         platform:admin
GET     /receipts                                       platform:read
GET     /tiers                                          tenants:read
PUT     /tiers/{tier}                                   tiers:admin
DELETE  /tiers/{tier}                                   tiers:admin
GET     /tenants/{tenant}/members                       members:read
GET     /tenants/{tenant}/members/{member}              members:read
PATCH   /tenants/{tenant}/members/{member}              members:write
DELETE  /tenants/{tenant}/members/{member}              members:write
POST    /tenants/{tenant}/leave                         self:write
POST    /tenants/{tenant}/transfer                      members:admin
GET     /tenants/{tenant}/invitations                   members:write
POST    /tenants/{tenant}/invitations                   members:write
DELETE  /tenants/{tenant}/invitations/{invitation}      members:write
POST    /invitations/accept                             self:write
GET     /tenants/{tenant}/agents                        agents:read
POST    /tenants/{tenant}/agents                        agents:write
GET     /tenants/{tenant}/agents/{agent}                agents:read
GET     /tenants/{tenant}/agents/{agent}/versions       agents:read
POST    /tenants/{tenant}/agents/{agent}/versions       agents:write
POST    /tenants/{tenant}/agents/{agent}/deploy         agents:write
POST    /tenants/{tenant}/agents/{agent}/rollback       agents:write
GET     /tenants/{tenant}/agents/{agent}/diff           agents:read
GET     /tenants/{tenant}/agents/{agent}/messages       messages:read
POST    /tenants/{tenant}/agents/{agent}/messages       messages:write
GET     /tenants/{tenant}/messages/{message}            messages:read
GET     /tenants/{tenant}/conversations/{conversation}/messages  messages:read
GET     /tenants/{tenant}/runs                          runs:read
POST    /tenants/{tenant}/runs                          runs:write
GET     /tenants/{tenant}/runs/metrics                  runs:read
GET     /tenants/{tenant}/runs/{run}                    runs:read
GET     /tenants/{tenant}/runs/{run}/events             runs:read
GET     /tenants/{tenant}/runs/{run}/steps              runs:read
GET     /tenants/{tenant}/runs/{run}/audit              audit:read
POST    /tenants/{tenant}/runs/{run}/cancel             runs:write
POST    /tenants/{tenant}/runs/{run}/signal             runs:write
GET     /tenants/{tenant}/approvals                     approvals:read
GET     /tenants/{tenant}/approvals/{approval}          approvals:read
POST    /tenants/{tenant}/approvals/{approval}/approve  approvals:write
POST    /tenants/{tenant}/approvals/{approval}/deny     approvals:write
GET     /tenants/{tenant}/secrets                       secrets:read
POST    /tenants/{tenant}/secrets                       secrets:write
DELETE  /tenants/{tenant}/secrets/{name}                secrets:write
POST    /tenants/{tenant}/secrets/rotate                secrets:admin
GET     /tenants/{tenant}/secrets/rotation              secrets:read
GET     /tenants/{tenant}/connections                   connections:read
POST    /tenants/{tenant}/connections                   connections:write
PATCH   /tenants/{tenant}/connections/{name}            connections:write
POST    /tenants/{tenant}/connections/{name}/test       connections:write
DELETE  /tenants/{tenant}/connections/{name}            connections:write
GET     /tenants/{tenant}/connections/{name}/tools      connections:read
POST    /tenants/{tenant}/connections/{name}/tools      connections:write
PATCH   /tenants/{tenant}/connections/{name}/tools/{tool}  connections:write
POST    /tenants/{tenant}/connections/{name}/sign-in    connections:write
GET     /tenants/{tenant}/connections/{name}/sign-in    connections:read
DELETE  /tenants/{tenant}/connections/{name}/sign-in    connections:write
POST    /tenants/{tenant}/connections/{name}/sign-in/device  connections:write
POST    /tenants/{tenant}/connections/{name}/sign-in/device/{sign_in}  connections:write
GET     /tenants/{tenant}/destinations                  platform:read
POST    /tenants/{tenant}/destinations                  platform:write
DELETE  /tenants/{tenant}/destinations/{name}           platform:write
GET     /tenants/{tenant}/channels                      channels:read
POST    /tenants/{tenant}/channels                      channels:write
GET     /tenants/{tenant}/channels/{channel}            channels:read
DELETE  /tenants/{tenant}/channels/{channel}            channels:write
GET     /tenants/{tenant}/keys                          keys:read
POST    /tenants/{tenant}/keys                          keys:write
DELETE  /tenants/{tenant}/keys/{key}                    keys:write
POST    /tenants/{tenant}/keys/{key}/rotate             keys:write
GET     /tenants/{tenant}/usage                         usage:read
GET     /tenants/{tenant}/budgets                       budgets:read
PUT     /tenants/{tenant}/budgets/{budget}              budgets:write
DELETE  /tenants/{tenant}/budgets/{budget}              budgets:write
GET     /tenants/{tenant}/account                       budgets:read
PUT     /tenants/{tenant}/account                       platform:write
POST    /tenants/{tenant}/account/credit                platform:write
PUT     /tenants/{tenant}/regions                       models:write
GET     /tenants/{tenant}/levels                        models:read
PUT     /tenants/{tenant}/levels/{level}                models:write
DELETE  /tenants/{tenant}/levels/{level}                models:write
GET     /tenants/{tenant}/model-keys                    models:read
POST    /tenants/{tenant}/model-keys                    models:write
DELETE  /tenants/{tenant}/model-keys/{key}              models:write
GET     /tenants/{tenant}/audit                         audit:read
GET     /tenants/{tenant}/audit/export                  audit:read
GET     /tenants/{tenant}/switches                      switches:read
POST    /tenants/{tenant}/switches/pause-effects        switches:write
POST    /tenants/{tenant}/switches/resume-effects       switches:write
POST    /tenants/{tenant}/switches/cancel-runs          switches:write
POST    /tenants/{tenant}/switches/revoke-access        switches:write
GET     /secrets                                        platform:read
POST    /secrets                                        platform:write
DELETE  /secrets/{name}                                 platform:write
POST    /secrets/rotate                                 platform:admin
GET     /secrets/rotation                               platform:read
GET     /secrets/scan                                   platform:read
GET     /connections                                    platform:read
POST    /connections                                    platform:write
PATCH   /connections/{name}                             platform:write
POST    /connections/{name}/test                        platform:write
DELETE  /connections/{name}                             platform:write
GET     /connections/{name}/tools                       platform:read
POST    /connections/{name}/tools                       platform:write
PATCH   /connections/{name}/tools/{tool}                platform:write
POST    /connections/{name}/sign-in                     platform:write
GET     /connections/{name}/sign-in                     platform:read
DELETE  /connections/{name}/sign-in                     platform:write
POST    /connections/{name}/sign-in/device              platform:write
POST    /connections/{name}/sign-in/device/{sign_in}    platform:write
GET     /destinations                                   platform:read
POST    /destinations                                   platform:write
DELETE  /destinations/{name}                            platform:write
GET     /levels                                         platform:read
PUT     /levels/{level}                                 platform:write
DELETE  /levels/{level}                                 platform:write
GET     /keys                                           platform:read
POST    /keys                                           platform:admin
DELETE  /keys/{key}                                     platform:admin
POST    /keys/{key}/rotate                              platform:admin
GET     /usage                                          platform:read
GET     /platform/queue                                 platform:read
GET     /audit                                          platform:read
GET     /audit/verify                                   platform:read
GET     /audit/export                                   platform:read
GET     /audit/key                                      none
POST    /audit/anchor                                   platform:write
GET     /switches                                       platform:read
POST    /switches/pause-effects                         platform:admin
POST    /switches/resume-effects                        platform:admin
POST    /switches/cancel-runs                           platform:admin
POST    /switches/revoke-access                         platform:admin
"""
_OUTSIDE: Final = """
GET     /healthz                                        none
GET     /metrics                                        metrics:read
GET     /login/oidc                                     none
GET     /login/oidc/callback                            none
GET     /login/oidc/leave                               none
POST    /login/oidc/ended                               none
GET     /                                               none
GET     /static/{name}                                  none
GET     /sign-in                                        none
POST    /sign-in                                        none
POST    /sign-in/code                                   none
POST    /sign-out                                       self:write
GET     /claim                                          none
POST    /claim                                          none
GET     /invite/{token}                                 self:read
POST    /invite/{token}                                 self:write
GET     /account                                        self:read
POST    /account/sessions/end                           self:write
POST    /account/sessions/{session}/end                 self:write
POST    /account/passkeys/{passkey}/remove              self:write
GET     /approve/{approval}                             self:read
POST    /approve/{approval}                             self:write
GET     /connect/callback                               self:write
GET     /connect/{link}                                 self:read
POST    /connect/{link}                                 self:write
POST    /hooks/{channel}                                none
GET     /v1/models                                      agents:read
POST    /v1/chat/completions                            messages:write
"""
API: Final = "/api/v1"

ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        # To the whole platform.
        "operator": frozenset({ALL}),
        "auditor": frozenset(
            {
                "platform:read", "audit:read", "tenants:read", "members:read", "people:read", "keys:read",
                "agents:read", "connections:read", "channels:read", "secrets:read", "usage:read", "switches:read",
                "budgets:read", "models:read",
            }
        ),
        # Within one tenant.
        "owner": frozenset(
            {
                "tenants:admin", "members:admin", "keys:admin", "agents:admin", "runs:admin", "messages:write",
                "approvals:write", "connections:admin", "channels:admin", "secrets:admin", "usage:read", "audit:read",
                "switches:write", "budgets:admin", "models:admin",
            }
        ),
        "admin": frozenset(
            {
                "tenants:write", "members:write", "keys:write", "agents:write", "runs:write", "messages:write",
                "approvals:write", "connections:write", "channels:write", "secrets:write", "usage:read", "audit:read",
                "switches:read", "budgets:write", "models:write",
            }
        ),
        "member": frozenset(
            {
                "tenants:read", "members:read", "agents:read", "runs:write", "messages:write", "approvals:write",
                "connections:read", "channels:read", "usage:read", "budgets:read", "models:read",
            }
        ),
        "viewer": frozenset(
            {
                "tenants:read", "members:read", "agents:read", "runs:read", "messages:read", "approvals:read",
                "channels:read", "usage:read", "budgets:read", "models:read",
            }
        ),
    }
)  # fmt: skip

AGENT_NOUNS: Final = frozenset({"agents", "approvals", "messages", "runs"})
"""What a key may do that is bound to one agent; everything else belongs to the tenant as a whole."""
PLATFORM_NOUNS: Final = frozenset({"metrics", "people", "platform", "provisioning", "tiers"})
"""What no tenant's role and no tenant's key gives, whatever it says: it is the platform's alone."""


def covers(held: Collection[str], scope: str) -> bool:
    """Return whether whoever holds `held` may do what needs `scope`."""
    if ALL in held:
        return True
    noun, _, level = scope.partition(":")
    return level in LEVELS and any(f"{noun}:{higher}" in held for higher in LEVELS[LEVELS.index(level) :])


def good_scopes(scopes: Collection[str]) -> frozenset[str]:
    """Return `scopes` if each is one there is; raise `Invalid` (`unknown_scope`) where not."""
    wanted = frozenset(scopes)
    known = {ALL} | {f"{noun}:{level}" for noun in NOUNS for level in LEVELS}
    if not wanted or wanted - known:
        named = ", ".join(sorted(wanted - known)) or "none"
        raise Invalid(
            f"These are no scopes: {named}.",
            code="unknown_scope",
            remedy=f"Write noun:level with a noun of {', '.join(NOUNS)} and a level of {', '.join(LEVELS)}, or *.",
        )
    return wanted


def _read(lines: str, prefix: str) -> dict[tuple[str, str], str]:
    rows = (line.split() for line in lines.strip().splitlines())
    return {(method, prefix + path): scope for method, path, scope in rows}


ROUTES: Final[Mapping[tuple[str, str], str]] = MappingProxyType(_read(_API, API) | _read(_OUTSIDE, ""))
"""The scope that each route needs, by method and path."""
