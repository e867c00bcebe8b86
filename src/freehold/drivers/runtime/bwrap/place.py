"""
Where sandboxes find their files on this host: the tenants' workspaces, and the folders every sandbox is shown.

Whoever else may write here (the worker's user, where root makes the sandboxes) could lay a link in our way, so folders are
entered one by one, by descriptor, links refused.
"""

import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Final, final

from freehold import guest
from freehold.core.errors import Invalid, Unavailable
from freehold.drivers.runtime.bwrap.argv import PYTHON, ROOTS, UID
from freehold.drivers.runtime.bwrap.disk import FOLDER, remove

NAME: Final = re.compile(r"[a-z]{3}_[0-9A-Za-z]{1,60}")
_COMPILE: Final = "import compileall, sys; sys.exit(not compileall.compile_dir(sys.argv[1], quiet=2, {mode}))"
_MODE: Final = "invalidation_mode=__import__('py_compile').PycInvalidationMode.UNCHECKED_HASH"
_ETC: Final = {
    "passwd": f"root:x:0:0:root:/:/usr/sbin/nologin\nagent:x:{UID}:{UID}:agent:/work:/bin/sh\n",
    "group": f"root:x:0:\nagent:x:{UID}:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_BORROWED: Final = ("ld.so.cache", "alternatives")
"""What programs of this host need to start: where libraries are, and which awk is awk."""
_ROOTS: Final = (ROOTS, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem")
"""Where a host keeps the certificates it trusts, by distribution; without them no program here could check a server."""


def checked(name: str) -> str:
    """Return `name` if it can be the name of a folder or sandbox of ours."""
    if not NAME.fullmatch(name):
        raise Invalid(f"{name[:80]!r} is no id.", code="bad_id")
    return name


@final
class Place:
    """The folders of one installation."""

    def __init__(self, data: Path, *, uid_base: int | None) -> None:
        """Know the data folder; with `uid_base`, workspaces belong to users of their own."""
        self._data = data
        self._uid_base = uid_base
        self._shown: tuple[Path, Path] | None = None

    @property
    def name(self) -> str:
        """Return a short name no other installation on this host has."""
        return "freehold-" + hashlib.sha256(str(self._data).encode()).hexdigest()[:12]

    def uid(self, number: int) -> int | None:
        """Return the user that tenant `number` has on this host; none: sandboxes run as we do."""
        return None if self._uid_base is None else self._uid_base + number

    def path(self, tenant: str, workspace: str) -> Path:
        """Return where a workspace is."""
        return self._data / "tenants" / checked(tenant) / "workspaces" / checked(workspace)

    def box(self, sandbox: str) -> Path:
        """Return the folder in which the gateway listens for a sandbox, and nothing else lies."""
        folder = self._data / "box" / checked(sandbox)
        try:
            os.close(os.open(folder, FOLDER))
        except OSError as error:
            raise Unavailable(
                f"The gateway does not listen for sandbox {sandbox}.", code="gateway_away", after=1.0
            ) from error
        return folder

    def workspaces(self, tenant: str) -> int:
        """Return a descriptor of the folder of a tenant's workspaces, made if need be."""
        self._data.mkdir(mode=0o711, parents=True, exist_ok=True)
        here = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in ("tenants", checked(tenant), "workspaces"):
            try:
                below = _enter(here, name, owner=os.fstat(here))
            finally:
                os.close(here)
            here = below
        return here

    def open(self, tenant: str, workspace: str, number: int) -> int:
        """Return a descriptor of a workspace, made if need be and owned by its tenant's user."""
        above = self.workspaces(tenant)
        try:
            fd = _enter(above, checked(workspace), owner=None)
        finally:
            os.close(above)
        uid = self.uid(number)
        about = os.fstat(fd)
        if uid is not None and about.st_uid != uid:
            os.fchown(fd, uid, uid)  # the folder alone: what is in it belongs to whoever made it
        if about.st_mode & 0o777 != 0o700:  # noqa: PLR2004
            os.fchmod(fd, 0o700)
        return fd

    def shown(self) -> tuple[Path, Path]:
        """Return the folders of the guest and of /etc, made at the first call for the Python that will run the guest."""
        if self._shown is None:
            above = self._data / "sandbox"
            above.mkdir(mode=0o711, parents=True, exist_ok=True)
            above.chmod(0o711)
            made = above / _fingerprint()
            if not _ours(made):
                _make(made)
            self._shown = made / "guest", made / "etc"
        return self._shown


def _enter(above: int, name: str, owner: os.stat_result | None) -> int:
    """Open folder `name`; made if need be, passable for all and owned like the one above, or else closed to others."""
    try:
        fd = os.open(name, FOLDER, dir_fd=above)
        if owner and os.fstat(fd).st_mode & 0o111 != 0o111:  # noqa: PLR2004
            os.fchmod(fd, 0o711)  # whoever keeps a tenant's files may have made it first, for itself alone
        return fd  # noqa: TRY300
    except FileNotFoundError:
        os.mkdir(name, 0o711 if owner else 0o700, dir_fd=above)
    except OSError as error:
        raise Unavailable(f"{name} in the data folder is no folder.", code="bad_data_folder") from error
    fd = os.open(name, FOLDER, dir_fd=above)
    if owner:
        os.fchmod(fd, 0o711)  # whatever the umask says
        if os.geteuid() == 0:
            os.fchown(fd, owner.st_uid, owner.st_gid)
    return fd


def _ours(made: Path) -> bool:
    """Return whether the folder is there; what another user made while this was theirs is removed, not shown."""
    try:
        about = made.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(about.st_mode) and about.st_uid in {os.geteuid(), 0}:
        return True
    above = os.open(made.parent, FOLDER)
    try:
        remove(above, made.name)
    finally:
        os.close(above)
    return False


def _fingerprint() -> str:
    about = Path(PYTHON).resolve().stat()
    digest = hashlib.sha256(f"{about.st_size}:{about.st_mtime_ns}:{sorted(_ETC.items())}".encode())
    for file in (*_sources(), *roots()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> list[Path]:
    return sorted(Path(guest.__path__[0]).glob("*.py"))


def roots() -> list[Path]:
    """Return the file of whom this host trusts, if it has one."""
    return [Path(name) for name in _ROOTS if Path(name).is_file()][:1]


def _make(made: Path) -> None:
    """Make both folders beside their place and move them there, so that nobody sees them half done."""
    with tempfile.TemporaryDirectory(dir=made.parent, prefix="making-") as folder:
        beside = Path(folder) / "made"
        package = beside / "guest" / "freehold" / "guest"
        package.mkdir(parents=True)
        (package.parent / "__init__.py").write_text("")
        for file in _sources():
            shutil.copyfile(file, package / file.name)
        _compile(beside / "guest")
        _make_etc(beside / "etc")
        for path in (beside, *beside.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o644)
        try:
            beside.rename(made)
        except OSError:
            if not made.is_dir():  # else somebody was faster
                raise


def _compile(folder: Path) -> None:
    script = _COMPILE.format(mode=_MODE)
    done = subprocess.run([PYTHON, "-I", "-S", "-c", script, str(folder)], check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise Unavailable(
            f"{PYTHON} cannot run the guest: {done.stderr.strip()[-300:]}",
            code="runtime_missing",
            remedy="Install python3 (3.11 or newer).",
        )


def _make_etc(etc: Path) -> None:
    etc.mkdir()
    for name, text in _ETC.items():
        (etc / name).write_text(text)
    for name in _BORROWED:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, etc / name, symlinks=True)
        elif source.is_file():
            shutil.copyfile(source, etc / name)
    for found in roots():
        for name in _ROOTS:  # whatever this host calls it, what was built elsewhere looks in its own place
            shown = etc / Path(name).relative_to("/etc")
            shown.parent.mkdir(parents=True, exist_ok=True)
            if name == ROOTS:
                shutil.copyfile(found, shown)
            else:
                shown.symlink_to(ROOTS)
