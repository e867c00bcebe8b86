"""
What stands at the mouth of a tunnel: nothing leaves it before its first words are those that were to be expected.

On port 443 that is a ClientHello which names the host that was asked for; on other ports whatever a program says, but
a ClientHello is held to its name there too, and nobody asks for a tunnel inside a tunnel. Pure.
"""

from typing import Final, final

from freehold.core.errors import Denied, FreeholdError, Invalid
from freehold.gateway.egress.hello import HANDSHAKE, Hello, NotTls
from freehold.gateway.egress.refusing import spelt
from freehold.gateway.outward.hosts import Place, host_of

HTTPS: Final = 443
_CONNECT: Final = b"CONNECT "
_TLS: Final = bytes((HANDSHAKE, 3))
"""How TLS begins: whoever speaks it so that it cannot be read here hides from us whom it asks for."""
_UNRECOGNIZED: Final = bytes((21, 3, 3, 0, 2, 2, 112))
"""TLS for: there is no server of that name here."""


@final
class Gate:
    """Holds the first words of one tunnel back until they are judged."""

    def __init__(self, place: Place) -> None:
        """Stand before `place`."""
        self._place, self._hello = place, Hello()
        self._kept = bytearray()
        self.open = False
        """Whether all that comes now may pass."""

    def through(self, data: bytes) -> bytes:
        """Return what may go on; raise `Denied` (`sni_mismatch`, `tunnel_in_tunnel`) for what never may."""
        self._kept += data
        if self._place.port != HTTPS and self._kept[0] != HANDSHAKE:
            return self._plain()
        try:
            self._hello.feed(data)
        except NotTls as error:
            if self._place.port != HTTPS and self._kept[:2] != _TLS:
                return self._let()
            raise _mismatch(f"Only TLS goes to {self._place}.") from error
        if not self._hello.done:
            return b""
        self._require(self._hello.name)
        return self._let()

    def end(self) -> bytes:
        """Return what may go on, now that nothing more comes; raise as `through` does."""
        if self._kept and self._place.port == HTTPS:
            raise _mismatch(f"Only TLS goes to {self._place}.")
        return self._let()

    def last_words(self, error: FreeholdError) -> bytes:
        """Return what tells `error` to whoever spoke, in what they took for the server's language."""
        return _UNRECOGNIZED if self._kept[:1] == bytes((HANDSHAKE,)) else spelt(error)

    def _plain(self) -> bytes:
        said = bytes(self._kept[: len(_CONNECT)])
        if said == _CONNECT:
            raise Denied("No tunnel leads through another.", code="tunnel_in_tunnel", remedy="Ask for the host itself.")
        return b"" if _CONNECT.startswith(said) else self._let()

    def _require(self, name: str | None) -> None:
        host = self._place.host
        if name is None and host.address is not None:
            return
        try:
            same = name is not None and host_of(name) == host
        except Invalid:
            same = False
        if not same:
            raise _mismatch(f"This tunnel leads to {host.name}, and TLS asks in it for {name or 'no host at all'}.")

    def _let(self) -> bytes:
        self.open = True
        return bytes(self._kept)


def _mismatch(what: str) -> Denied:
    return Denied(what, code="sni_mismatch", remedy="Ask the proxy for the host that you mean, and speak TLS with it.")
