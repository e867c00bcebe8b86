"""
Attaching: files that come with a message are kept among the tenant's files before the message is accepted.

A file's name among them begins with the hash of its bytes, so that a repeated delivery keeps nothing twice and
the message under the same key stays the same message.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from freehold.core.errors import Invalid
from freehold.store.objects import TenantFiles

FOLDER: Final = "attachments"
MOST: Final = 20
"""Files that may come with one message."""
LONGEST_NAME: Final = 120


async def attach(files: TenantFiles, attachments: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """
    Keep `attachments` (`{name, content, type?}`, content in base64) and return what the message remembers of them.

    That is `{name, type, size, file}` each: size in bytes, `file` the name among the tenant's files. Raises
    `Invalid` (`bad_attachment`) before anything is kept if one of them cannot be right.
    """
    if len(attachments) > MOST:
        raise _bad(f"A message carries at most {MOST} files.", "Send them in several messages.")
    read = [_read(attached) for attached in attachments]
    if len({name for name, _type, _data in read}) < len(read):
        raise _bad("Two of the files have the same name.", "Give each a name of its own.")
    kept = []
    for name, kind, data in read:
        file = f"{FOLDER}/{hashlib.sha256(data).hexdigest()}/{name}"
        await files.put(file, data)
        kept.append({"name": name, "type": kind, "size": len(data), "file": file})
    return tuple(kept)


def _read(attached: Mapping[str, Any]) -> tuple[str, str, bytes]:
    match attached:
        case {"name": str(name), "content": str(content)} if set(attached) <= {"name", "content", "type"}:
            return _named(name), str(attached.get("type") or "application/octet-stream"), _decoded(content, name)
        case _:
            raise _bad("An attachment is {name, content, type?}.", "Send the content in base64.")


def _named(name: str) -> str:
    plain = name.isprintable() and name.strip() == name and not set(name) & set("/\\")
    if not plain or not 0 < len(name) <= LONGEST_NAME or name.startswith("."):
        raise _bad(f"{name[:LONGEST_NAME]!r} is no file name.", "Use a plain name, such as report.pdf.")
    return name


def _decoded(content: str, name: str) -> bytes:
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(f"The content of {name} is not base64.", "Encode the file's bytes in base64.") from error


def _bad(message: str, remedy: str) -> Invalid:
    return Invalid(message, code="bad_attachment", remedy=remedy)
