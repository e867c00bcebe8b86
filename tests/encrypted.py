"""
Encrypted servers of this machine, and the gateway's client in front of them.

Run as a program (`python -m tests.encrypted FOLDER`, with `SSL_CERT_FILE` at the folder's `ca.pem`) it asks each of
them and tells as JSON what came of it: whom a certificate names is looked at when a process starts, not later.
"""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from freehold.core.errors import FreeholdError
from freehold.gateway.asked import Behalf
from freehold.gateway.outward.client import Client
from freehold.gateway.outward.exchange import Sent
from freehold.gateway.outward.guard import Guard
from tests.dialling import loopback

GOOD, OTHER, ADDRESS = "good.example", "other.example", "127.0.0.1"
SINCE, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
Told = dict[str, list[Any]]


def certified(folder: Path) -> None:
    """Make an authority, and certificates for a name and for an address, in `folder`."""
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of the tests")])
    ca = _begun(issuer, issuer, authority).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    (folder / "ca.pem").write_bytes(_pem(ca.sign(authority, hashes.SHA256())))
    for file, named in (("name", x509.DNSName(GOOD)), ("address", x509.IPAddress(ip_address(ADDRESS)))):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file)])
        made = _begun(subject, issuer, key).add_extension(x509.SubjectAlternativeName([named]), critical=False)
        key_bytes = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{file}.pem").write_bytes(key_bytes + _pem(made.sign(authority, hashes.SHA256())))


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return made.serial_number(x509.random_serial_number()).not_valid_before(SINCE).not_valid_after(UNTIL)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@asynccontextmanager
async def _serving(pem: Path) -> AsyncIterator[tuple[int, list[Any]]]:
    """Run a server with a certificate; give its port, and what it hears: names in greetings, and Host headers."""
    heard: list[Any] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def greeted(_socket: object, name: str | None, _context: object) -> None:
        heard.append(name)

    context.sni_callback = greeted

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                heard.append(next(line for line in head.split("\r\n") if line.lower().startswith("host:")))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(answer, ADDRESS, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()


async def _here(_name: str) -> Sequence[str]:
    return [ADDRESS]


async def _came_of(client: Client, url: str) -> Any:
    try:
        answer = await client.send(Sent(method="GET", url=url, headers={}), Behalf("", operators=True), lambda: None)
    except FreeholdError as error:
        return error.code
    async for _ in answer.chunks:
        pass
    return answer.status


async def tell(folder: Path) -> Told:
    """Ask every server by every name, and return what came of it and what they heard."""
    told: Told = {}
    for file in ("name", "address"):
        async with _serving(folder / f"{file}.pem") as (port, heard):
            client = Client(Guard(loopback, lookup=_here))
            hosts = (GOOD, OTHER, ADDRESS, GOOD, f"{GOOD.upper()}.")
            told[file] = [await _came_of(client, f"https://{host}:{port}/") for host in hosts]
            told[f"{file} heard"] = [line.replace(str(port), "PORT") if line else line for line in heard]
            await client.close()
    return told


if __name__ == "__main__":
    STATED: Final = Path(sys.argv[1])
    print(json.dumps(asyncio.run(tell(STATED))))
