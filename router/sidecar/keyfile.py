"""The file of callers' keys: who may ask this server and how much; never a key itself.

Comes in: a path. Goes out: `Entry` values; and, once, the key that was just made. A key is 256
random bits, which nobody guesses however fast a guess can be tried. So it is kept as a plain
digest (BLAKE2b, RFC 7693): a slow hash such as scrypt is for passwords that people think of, and
would cost each request tens of milliseconds for nothing. The salt is the file's: keys are never
alike, so one for each would guard nothing more, and what a request brings is found by its digest
in one look. How long that look takes tells nothing, as nobody can choose a digest.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from ..config import home
from ..document import nearest
from ..errors import ConfigError
from ..types import Label
from .rate import rate_of

VERSION = 1
PREFIX = "fh_"
MAX_BYTES = 4 * 1024 * 1024

_SALT_BYTES = 16
_LOCK_S = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Entry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One caller's key and what it may do.

    Attributes:
        name: For people, logs and the ledger; of letters, digits and ``._-``.
        digest: Of the key, hexadecimal.
        made_at: UTC, as ISO 8601 has it.
        tenant: Whose requests these are. What a caller says of tenants only divides it further.
        policies: What `model` may be, the first of them what ``auto`` means. Empty: anything.
        label_floor: The least private that any of its requests is. None: as the caller says.
        day_usd: Most dollars of a local day. None: no bound.
        rate: Most requests in a while, such as ``"60/min"``. None: no bound.
        observer: It reads metrics and decisions, and asks nothing.
    """

    name: str
    digest: str
    made_at: str
    tenant: str
    policies: tuple[str, ...] = ()
    label_floor: Label | None = None
    day_usd: Decimal | None = None
    rate: str | None = None
    observer: bool = False


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file says. Names and digests are each there once.

    Attributes:
        salt: Hexadecimal, of all digests.
    """

    version: int
    salt: str
    keys: tuple[Entry, ...]


_decoder = msgspec.json.Decoder(KeyFile)


def default_path() -> Path:
    """Where the keys lie if nobody says otherwise: beside this user's ledger and config."""
    return home() / "keys.json"


def digest_of(key: bytes, salt: bytes) -> str:
    """What a key is known by."""
    return hashlib.blake2b(key, digest_size=32, salt=salt, person=b"firsthop-key").hexdigest()


def read(path: Path) -> KeyFile:
    """Read and check a file of keys.

    Raises: ConfigError, when it isn't there, is wrong, or others than its owner may write to it.
    """
    try:
        with path.open("rb") as file:
            _hold_mode(path, os.fstat(file.fileno()).st_mode)
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        hint = "make one: firsthop keys add NAME"
        raise ConfigError("there is no key yet", file=path, hint=hint) from exc
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else None
        raise ConfigError(f"cannot be read: {why or exc}", file=path) from exc
    try:
        found = _decoder.decode(raw[:MAX_BYTES])
        _check(found)
    except (msgspec.DecodeError, ValueError) as exc:  # the first of them is one of the second
        raise ConfigError(f"is no file of keys: {exc}", file=path) from exc
    return found


def add(
    path: Path,
    name: str,
    *,
    now_s: float,
    tenant: str | None = None,
    policies: Sequence[str] = (),
    label_floor: Label | None = None,
    day_usd: Decimal | None = None,
    rate: str | None = None,
    observer: bool = False,
) -> str:
    """Make a key and keep its digest in the file, which is made if need be, with mode 600.

    Args:
        now_s: Seconds since 1970-01-01 UTC.
        tenant: None: the same as `name`.

    Returns: the key. It is nowhere else, so who loses it makes another one.
    Raises: ConfigError, when the name is taken, something is wrong, or it can't be written.
    """
    key = PREFIX + secrets.token_urlsafe(32)
    with _locked(path):
        known = read(path) if path.exists() else _new()
        if any(entry.name == name for entry in known.keys):
            hint = f"revoke it first: firsthop keys revoke {name}"
            raise ConfigError(f"there is a key {name!r} already", file=path, hint=hint)
        entry = Entry(
            name=name,
            digest=digest_of(key.encode(), bytes.fromhex(known.salt)),
            made_at=datetime.datetime.fromtimestamp(int(now_s), datetime.UTC).isoformat(),
            tenant=name if tenant is None else tenant,
            policies=tuple(policies),
            label_floor=label_floor,
            day_usd=day_usd,
            rate=rate,
            observer=observer,
        )
        try:
            _write(path, msgspec.structs.replace(known, keys=(*known.keys, entry)))
        except ValueError as exc:
            raise ConfigError(str(exc)) from exc
    return key


def revoke(path: Path, name: str) -> None:
    """Take a key out. Raises: ConfigError, when there is none of that name."""
    with _locked(path):
        known = read(path)
        left = tuple(entry for entry in known.keys if entry.name != name)
        if len(left) == len(known.keys):
            names = [entry.name for entry in known.keys]
            raise ConfigError(f"no key is called {name!r}", file=path, hint=nearest(name, names))
        _write(path, msgspec.structs.replace(known, keys=left))


def _new() -> KeyFile:
    return KeyFile(version=VERSION, salt=secrets.token_hex(_SALT_BYTES), keys=())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Nobody else changes the file until the end. Raises: ConfigError."""
    from filelock import FileLock, Timeout  # 30 ms that a server, which only reads, is spared

    lock = FileLock(path.with_name(f"{path.name}.lock"), timeout=_LOCK_S, mode=0o600)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
    except Timeout as exc:
        raise ConfigError("another process is changing it", file=path) from exc
    except OSError as exc:
        raise ConfigError(f"cannot be written: {exc.strerror or exc}", file=path) from exc
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, keys: KeyFile) -> None:
    """Whole or not at all. Raises: ValueError, when it is wrong; ConfigError."""
    _check(keys)
    text = msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n"
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as exc:
        beside.unlink(missing_ok=True)
        raise ConfigError(f"cannot be written: {exc.strerror or exc}", file=path) from exc


def _hold_mode(path: Path, mode: int) -> None:
    """Who may write to it lets himself in. On Windows access lists say who may; not looked at."""
    if sys.platform != "win32" and stat.S_IMODE(mode) & 0o022:
        raise ConfigError(
            f"others than its owner may write to it (mode {stat.S_IMODE(mode):04o})",
            file=path,
            hint=f"run: chmod 600 {path}",
        )


def _check(keys: KeyFile) -> None:
    """Raises: ValueError that names the key."""
    if keys.version != VERSION:
        raise ValueError(f"it says version {keys.version}, and this firsthop knows {VERSION}")
    if len(bytes.fromhex(keys.salt)) != _SALT_BYTES:
        raise ValueError(f"its salt has to be of {_SALT_BYTES} bytes")
    names: set[str] = set()
    digests: set[str] = set()
    for entry in keys.keys:
        for field, word in (("name", entry.name), ("tenant", entry.tenant)):
            if not _NAME.fullmatch(word):
                raise ValueError(f"{field} {word!r} has to be of letters, digits and ._-")
        if entry.name in names or entry.digest in digests:
            raise ValueError(f"key {entry.name!r} is there twice")
        if not _DIGEST.fullmatch(entry.digest):
            raise ValueError(f"key {entry.name!r} has no digest")
        if entry.rate is not None:
            rate_of(entry.rate)
        if entry.day_usd is not None and not (entry.day_usd.is_finite() and entry.day_usd >= 0):
            raise ValueError(f"key {entry.name!r}: {entry.day_usd} is no amount of dollars")
        names.add(entry.name)
        digests.add(entry.digest)
