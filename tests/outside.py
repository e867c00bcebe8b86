"""Servers as programs meet them outside: an index of packages, a repository, pages; plain, or behind a certificate."""

import base64
import hashlib
import os
import shutil
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typing_extensions import override

BACKEND: Final = "/usr/lib/git-core/git-http-backend"


class Pages(SimpleHTTPRequestHandler):
    """Serves a folder, and the repositories in it as git speaks over HTTP."""

    protocol_version = "HTTP/1.1"

    @override
    def do_GET(self) -> None:
        if ".git/" in self.path:
            self._git(b"")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        """Answer what git asks."""
        self._git(self.rfile.read(int(self.headers["Content-Length"])))

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _git(self, body: bytes) -> None:
        at = urlsplit(self.path)
        environment = {
            "PATH": os.defpath, "GIT_PROJECT_ROOT": self.directory, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": at.path,
            "QUERY_STRING": at.query, "REQUEST_METHOD": self.command, "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "GIT_CONFIG_NOSYSTEM": "1",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "HOME": self.directory,
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        said = subprocess.run([BACKEND], input=body, env=environment, capture_output=True, check=True).stdout
        head, _, rest = said.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for name, value in (lines | {"Content-Length": str(len(rest))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(rest)


@contextmanager
def pages(folder: Path, tls: "ssl.SSLContext | None" = None) -> Iterator[int]:
    """Serve `folder` on this machine while the block lasts, and give the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=str(folder)))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def index(folder: Path, name: str = "parcel") -> None:
    """Lay an index of packages into `folder`, with one package."""
    wheel = folder / "simple" / name / f"{name}-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": b"sent = True\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*lines, f"{about}/RECORD,,"]).encode()
    with zipfile.ZipFile(wheel, "w") as packed:
        for path, content in files.items():
            packed.writestr(path, content)
    (wheel.parent / "index.html").write_text(f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>')


def repository(folder: Path, name: str = "letters.git") -> None:
    """Lay a repository with one commit into `folder`."""
    work = folder / "work"
    git = partial(
        subprocess.run, check=True, capture_output=True, cwd=work, env={"PATH": os.defpath, "HOME": str(work)}
    )
    work.mkdir(parents=True)
    (work / "letter").write_text("dear world\n")
    (work / "large").write_bytes(os.urandom(2 << 20))
    git(["git", "init", "-q", "-b", "main"])
    git(["git", "add", "letter", "large"])
    git(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "Write"])
    git(["git", "clone", "-q", "--bare", str(work), str(folder / name)])
    shutil.rmtree(work)


def certified(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """Return what a server of `names` serves with, and the file by which clients believe it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), datetime.now(UTC)  # noqa: TID251 - real clients look at it
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_named(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    believed, opened = folder / "ca.pem", folder / "key.pem"
    believed.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    opened.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(believed, opened)
    return context, believed


def _named(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
