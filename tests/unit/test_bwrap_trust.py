"""Programs in a sandbox can check whom they talk to, as the host's own programs do."""

from pathlib import Path

import pytest

from freehold.drivers.runtime.bwrap import place
from freehold.drivers.runtime.bwrap.argv import OUTSIDE, ROOTS
from freehold.drivers.runtime.bwrap.place import Place

TRUSTED = place.roots()
needs_roots = pytest.mark.skipif(not TRUSTED, reason="this host trusts no certificates: install ca-certificates")


def etc(data: Path) -> Path:
    return Place(data, uid_base=None).shown()[1]


@needs_roots
def test_a_sandbox_trusts_whom_the_host_trusts(tmp_path: Path) -> None:
    shown = etc(tmp_path)
    assert (shown / Path(ROOTS).relative_to("/etc")).read_bytes() == TRUSTED[0].read_bytes()
    assert (shown / "pki/tls/certs/ca-bundle.crt").readlink() == Path(ROOTS)
    assert OUTSIDE["SSL_CERT_FILE"] == ROOTS


@needs_roots
def test_a_host_that_trusts_others_since_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = etc(tmp_path)
    monkeypatch.setattr(place, "roots", list)
    after = etc(tmp_path)
    assert after != before
    assert not (after / "ssl").exists()
