"""A Hugging Face hub on loopback, in the words its real client understands.

Two ports, like the real one: the hub lists a repository, serves small files itself, and sends
clients to a "CDN" for the large ones. What goes wrong is told beforehand: drops, refusals,
corrupt bytes, ignored ranges. Also speaks as a plain HTTP proxy for itself (absolute request
lines), and over TLS when given a context.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urlsplit

REPO = "acme/tiny-onnx"
COMMIT = "c0ffee" + "0" * 34
CPU = "cpu_and_mobile/cpu-int4"
LARGE = 10_000


def tiny_repo(weights: int = 300_000) -> dict[str, bytes]:
    """A repository of the usual shape: two builds, pages, a script; `weights` bytes of data."""
    decoder = {"filename": "tiny.onnx"}
    config = {"model": {"type": "phi3", "context_length": 131072, "decoder": decoder}}
    build = {
        "genai_config.json": json.dumps(config).encode(),
        "tiny.onnx": b"graph " * 4000,
        "tiny.onnx.data": bytes(range(251)) * (weights // 251) + b"." * (weights % 251),
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": b'{"chat_template": ""}',
        "configuration_phi3.py": b"import os\n",
    }
    repo = {"README.md": b"# A model\n", "LICENSE": b"MIT\n"}
    repo |= {f"{CPU}/{name}": content for name, content in build.items()}
    repo |= {f"a_gpu/gpu-int4/{name}": content[::-1] for name, content in build.items()}
    return repo


@dataclass
class Seen:
    """One request that came in."""

    port: str
    method: str
    path: str
    range: str | None
    authorization: str | None
    user_agent: str
    absolute: bool


@dataclass
class Mishaps:
    """What is to go wrong.

    Attributes:
        drop_after: For each of the next large answers: close the connection after so many bytes.
        statuses: For the next requests to the hub: answer with these instead.
        cdn_statuses: The same for the CDN.
        corrupt: Paths whose bytes are not those their checksum was taken of.
        ignore_ranges: Send the whole file whatever is asked.
        bare_listing: Leave sizes and checksums out of the listing, as some mirrors do.
        no_etag: Give no checksum on the file itself either.
        commit: What the listing says it is of.
    """

    drop_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    cdn_statuses: list[int] = field(default_factory=list)
    corrupt: set[str] = field(default_factory=set)
    ignore_ranges: bool = False
    bare_listing: bool = False
    no_etag: bool = False
    commit: str = COMMIT


class LoopbackHub:
    """Serve `files` as the repository `repo` at `COMMIT`. Use as a context manager."""

    def __init__(
        self, files: dict[str, bytes], *, tls: ssl.SSLContext | None = None, repo: str = REPO
    ):
        self.files = files
        self.repo = repo
        self.mishaps = Mishaps()
        self.seen: list[Seen] = []
        self._scheme = "https" if tls else "http"
        self._hub = _server(self, _HubHandler, tls)
        self._cdn = _server(self, _CdnHandler, tls)

    @property
    def endpoint(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._hub.server_port}"

    @property
    def cdn(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._cdn.server_port}"

    def downloads(self) -> list[Seen]:
        """The requests for contents that reached the CDN."""
        return [one for one in self.seen if one.port == "cdn"]

    def content(self, path: str) -> bytes:
        """What is sent for `path`: right, unless it is to be corrupt."""
        content = self.files[path]
        if path in self.mishaps.corrupt:
            return content[:-1] + bytes([content[-1] ^ 1])
        return content

    def __enter__(self) -> LoopbackHub:
        for server in (self._hub, self._cdn):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: LoopbackHub

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients here are killed on purpose; that is no news."""


def _server(
    owner: LoopbackHub, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None
) -> _Server:
    server = _Server(("127.0.0.1", 0), handler)
    server.owner = owner
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    port = ""

    @property
    def owner(self) -> LoopbackHub:
        assert isinstance(self.server, _Server)
        return self.server.owner

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        seen = Seen(
            port=self.port,
            method=self.command,
            path=unquote(parts.path),
            range=self.headers.get("Range"),
            authorization=self.headers.get("Authorization"),
            user_agent=self.headers.get("User-Agent", ""),
            absolute=bool(parts.scheme),
        )
        self.owner.seen.append(seen)
        self.answer(seen)

    do_HEAD = do_GET  # noqa: N815  (the name is the library's)

    def answer(self, seen: Seen) -> None:
        raise AssertionError("each port has its own")

    def send(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_file(self, path: str, **headers: str) -> None:
        """The whole, or the range asked for; cut off where a mishap says so."""
        mishaps = self.owner.mishaps
        content, status = self.owner.content(path), 200
        asked = self.headers.get("Range")
        if asked and not mishaps.ignore_ranges:
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                return self.send(416, Content_Range=f"bytes */{len(content)}")
            headers["Content_Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            content, status = content[first:], 206
        cut = mishaps.drop_after.pop(0) if mishaps.drop_after and self.port == "cdn" else None
        if cut is None or cut >= len(content):
            return self.send(status, content, **headers)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:cut])
        self.close_connection = True
        return None


class _HubHandler(_Handler):
    port = "hub"

    def answer(self, seen: Seen) -> None:
        if self.owner.mishaps.statuses:
            return self.send(self.owner.mishaps.statuses.pop(0))
        api, _, revision = seen.path.partition("/revision/")
        if api == f"/api/models/{self.owner.repo}":
            return self.list_files(revision or "main")
        repo, found, rest = seen.path.lstrip("/").partition("/resolve/")
        revision, _, path = rest.partition("/")
        if repo != self.owner.repo or not found:
            return self.send(404, X_Error_Code="RepoNotFound")
        if revision not in ("main", COMMIT):
            return self.send(404, X_Error_Code="RevisionNotFound")
        if path not in self.owner.files:
            return self.send(404, X_Error_Code="EntryNotFound")
        return self.resolve(path)

    def list_files(self, revision: str) -> None:
        if revision not in ("main", COMMIT):
            return self.send(404, X_Error_Code="RevisionNotFound")
        siblings = [
            {"rfilename": path} if self.owner.mishaps.bare_listing else sibling(path, content)
            for path, content in self.owner.files.items()
        ]
        body = {"id": self.owner.repo, "modelId": self.owner.repo, "siblings": siblings, "tags": []}
        body["sha"] = self.owner.mishaps.commit
        return self.send(200, json.dumps(body).encode(), Content_Type="application/json")

    def resolve(self, path: str) -> None:
        content = self.owner.files[path]
        if len(content) < LARGE:
            headers = {"X_Repo_Commit": COMMIT}
            if not self.owner.mishaps.no_etag:
                headers["ETag"] = f'"{git_sha1(content)}"'
            return self.send_file(path, **headers)
        sha256 = hashlib.sha256(content).hexdigest()
        return self.send(
            302,
            X_Repo_Commit=COMMIT,
            Location=f"{self.owner.cdn}/{path}?signature=short-lived",
            X_Linked_Etag=f'"{sha256}"',
            X_Linked_Size=str(len(content)),
        )


class _CdnHandler(_Handler):
    port = "cdn"

    def answer(self, seen: Seen) -> None:
        if self.owner.mishaps.cdn_statuses:
            return self.send(self.owner.mishaps.cdn_statuses.pop(0))
        return self.send_file(seen.path.lstrip("/"))


def sibling(path: str, content: bytes) -> dict[str, object]:
    """A file as the listing has it with `blobs=True`."""
    if len(content) < LARGE:
        return {"rfilename": path, "size": len(content), "blobId": git_sha1(content)}
    pointer = git_sha1(b"version https://git-lfs.github.com/spec/v1\n")
    sha256 = hashlib.sha256(content).hexdigest()
    lfs = {"sha256": sha256, "size": len(content), "pointerSize": 134}
    return {"rfilename": path, "size": len(content), "blobId": pointer, "lfs": lfs}


def git_sha1(content: bytes) -> str:
    """What `git hash-object` says."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@contextlib.contextmanager
def loopback_hub(weights: int = 300_000) -> Iterator[LoopbackHub]:
    """A hub that serves `tiny_repo`."""
    with LoopbackHub(tiny_repo(weights)) as hub:
        yield hub
