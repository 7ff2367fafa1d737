"""The wire to a Hugging Face hub: what a repository holds at a commit, and one file of it.

Goes through `huggingface_hub`: its listing, its addresses, its session (so proxies, certificate
authorities, tokens and offline mode are as the environment says), its errors. Only the loop that
receives a file is ours. The library's own download starts from nothing after every interruption
(as of 2.4), and a file here has two gigabytes; ours keeps what came and asks for the rest. Each
time it asks the hub, not the CDN behind it: the signed address may have run out meanwhile.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar
from urllib.parse import urlsplit

from ..errors import ModelError
from . import hub_errors
from .progress import Meter

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

T = TypeVar("T")
Sleep = Callable[[float], None]

_TRIES_TO_LOOK = 3
_TRIES_WITHOUT_GAIN = 5
_LONGEST_WAIT_S = 8.0
_TIMEOUT_S = 30.0
_RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file as the hub describes it at one commit; at least one checksum is there.

    Attributes:
        path: In the repository.
        bytes: Size.
        sha256: Given for files in large-file storage.
        git_sha1: Given for files that lie in git itself.
    """

    path: str
    bytes: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A repository at one commit.

    Attributes:
        files: By path. None: listed, but without size or checksum; `Hub.describe` asks for them.
    """

    repo: str
    commit: str
    files: Mapping[str, RemoteFile | None]


class Hub:
    """One hub, asked on behalf of one model.

    Args:
        model: Name of the model, for messages.
        endpoint: Such as ``https://huggingface.co``. None: what `huggingface_hub` took from
            ``HF_ENDPOINT`` when it was imported.
        sleep: Waits so many seconds between two tries.
    """

    def __init__(self, model: str, *, endpoint: str | None = None, sleep: Sleep = time.sleep):
        from huggingface_hub import constants

        self._model = model
        self._endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self._sleep = sleep
        parts = urlsplit(self._endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ModelError(
                f"the hub's address {self._endpoint!r} isn't one: "
                "HF_ENDPOINT has to begin with https:// and name a host",
                model=model,
            )

    def listing(self, repo: str, revision: str) -> Listing:
        """What `repo` holds at `revision`.

        Raises:
            ModelError: Not reachable, not there, not allowed, or no hub.
        """
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self._endpoint, library_name="firsthop")
        info = self._ask(
            repo,
            lambda: api.model_info(
                repo, revision=revision, files_metadata=True, timeout=_TIMEOUT_S
            ),
        )
        # It becomes the name of a folder, so it must be what it claims to be.
        if info.sha is None or not _is_hex(info.sha, 40):
            raise hub_errors.no_hub(self._model, self._endpoint, f"its commit is {info.sha!r}")
        files = {sibling.rfilename: _described(sibling) for sibling in info.siblings or ()}
        return Listing(repo=repo, commit=info.sha, files=files)

    def describe(self, listing: Listing, path: str) -> RemoteFile:
        """Size and checksum of one file, asked for by itself where the listing lacks them.

        Raises:
            ModelError: The hub has no checksum for it, so it can't be trusted; or as `listing`.
        """
        if (known := listing.files[path]) is not None:
            return known
        from huggingface_hub import get_hf_file_metadata

        about = self._ask(
            listing.repo,
            lambda: get_hf_file_metadata(
                self._url(listing, path), endpoint=self._endpoint, timeout=_TIMEOUT_S
            ),
        )
        etag = (about.etag or "").lower()
        sha256 = etag if _is_hex(etag, 64) else None
        git_sha1 = etag if _is_hex(etag, 40) else None
        if about.size is None or not (sha256 or git_sha1):
            raise ModelError(
                f"{self._endpoint} gives no checksum for {path} in {listing.repo}, so a wrong file "
                "could not be told from a right one. If this is a mirror, try the hub itself",
                model=self._model,
            )
        return RemoteFile(path=path, bytes=about.size, sha256=sha256, git_sha1=git_sha1)

    def fetch(self, listing: Listing, file: RemoteFile, target: Path, meter: Meter) -> None:
        """Bring `file` to `target`, going on after the bytes that are there already.

        A dropped connection is taken up again, until five tries in a row brought nothing.
        The checksum is the caller's to check, and so is the size: it may be too long by a block.

        Raises:
            ModelError: The hub said no, or can't be reached any more. What came is kept.
            OSError: The disk said no.
        """
        vain = 0
        target.touch()
        while (have := target.stat().st_size) < file.bytes:
            failure = self._receive(listing, file, target, have, meter)
            if target.stat().st_size > have:
                vain = 0
                continue
            vain += 1
            if vain == _TRIES_WITHOUT_GAIN:
                raise hub_errors.unreachable(self._model, self._endpoint, failure) from failure
            self._sleep(min(_LONGEST_WAIT_S, 0.5 * 2**vain))

    def _receive(
        self, listing: Listing, file: RemoteFile, target: Path, have: int, meter: Meter
    ) -> Exception | None:
        """Append what one connection brings. A failure that may pass is given back, not raised."""
        from huggingface_hub import get_session, hf_raise_for_status

        # Compressed on the way, neither sizes nor ranges would mean the file's own bytes.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with (
                _telemetry_off(),
                get_session().stream(
                    "GET",
                    self._url(listing, file.path),
                    headers={**_identity(), **headers},
                    follow_redirects=True,
                    timeout=_TIMEOUT_S,
                ) as response,
                target.open("r+b") as out,
            ):
                hf_raise_for_status(response)
                starts = response.headers.get("Content-Range", "")
                if have and not starts.startswith(f"bytes {have}-"):
                    _drop(out, have, meter)  # The range was ignored: this is the whole file.
                out.seek(0, 2)
                for block in response.iter_bytes():
                    out.write(block)
                    meter.advance(len(block))
                    if out.tell() > file.bytes:
                        break
        except hub_errors.wire_error() as exc:
            if hub_errors.status(exc) == _RANGE_NOT_SATISFIABLE:
                with target.open("r+b") as out:
                    _drop(out, have, meter)
            elif not hub_errors.may_pass(exc):
                raise hub_errors.refused(self._model, self._endpoint, listing.repo, exc) from exc
            return exc
        return None

    def _url(self, listing: Listing, path: str) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(listing.repo, path, revision=listing.commit, endpoint=self._endpoint)

    def _ask(self, repo: str, question: Callable[[], T]) -> T:
        """One short question, tried a few times while the failure may pass."""
        from huggingface_hub.errors import OfflineModeIsEnabled

        for tried in range(1, _TRIES_TO_LOOK + 1):
            try:
                with _telemetry_off():
                    return question()
            except OfflineModeIsEnabled as exc:
                raise hub_errors.offline(self._model) from exc
            except hub_errors.wire_error() as exc:
                if not hub_errors.may_pass(exc):
                    raise hub_errors.refused(self._model, self._endpoint, repo, exc) from exc
                if tried == _TRIES_TO_LOOK:
                    raise hub_errors.unreachable(self._model, self._endpoint, exc) from exc
                self._sleep(0.5 * 2**tried)
            except (json.JSONDecodeError, TypeError, KeyError) as exc:
                raise hub_errors.no_hub(self._model, self._endpoint, str(exc)) from exc
        raise AssertionError("the last try returns or raises")


@contextmanager
def _telemetry_off() -> Iterator[None]:
    """Keep `huggingface_hub` from describing this machine to its hub.

    Unbidden, it would even ask the hub which programs to look for in the environment. Set in the
    library and not in the environment: the process belongs to an application, and the library may
    have read its environment long ago.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_TELEMETRY
    constants.HF_HUB_DISABLE_TELEMETRY = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = before


def _identity() -> dict[str, str]:
    """User agent, and the token if there is one; the session drops it on the way to a CDN."""
    # Public, but exported in a way that type checkers don't see.
    utils = importlib.import_module("huggingface_hub.utils")
    headers: dict[str, str] = utils.build_hf_headers(library_name="firsthop")
    return headers


def _described(sibling: RepoSibling) -> RemoteFile | None:
    lfs = sibling.lfs
    # Of a file in large-file storage, git itself holds only a pointer: blob_id is the pointer's.
    sha256 = lfs.sha256 if lfs else None
    git_sha1 = None if lfs else sibling.blob_id
    if sibling.size is None or not (sha256 or git_sha1):
        return None
    return RemoteFile(path=sibling.rfilename, bytes=sibling.size, sha256=sha256, git_sha1=git_sha1)


def _drop(out: BinaryIO, count: int, meter: Meter) -> None:
    out.truncate(0)
    meter.advance(-count)


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and all(c in "0123456789abcdef" for c in text)
