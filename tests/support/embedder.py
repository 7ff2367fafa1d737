"""A server of embeddings on loopback, in a thread of its own, that keeps what it was asked."""

from __future__ import annotations

import base64
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Embedder:
    """What it is like.

    Attributes:
        url: Without a path.
        asked: Path, key and body of each call.
        sent: Bodies of its answers.
        status: Of every answer.
        lost: Embeddings that it leaves out.
        counts: Whether it says how many tokens it read.
        takes_s: Seconds before it answers.
    """

    url: str = ""
    asked: list[tuple[str, str | None, Any]] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    status: int = 200
    lost: int = 0
    counts: bool = True
    takes_s: float = 0.0

    def answer(self, body: Any) -> bytes:
        numbers = [0.5, -0.25, 1.0][: body.get("dimensions", 3)]
        raw = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
        told = raw if body.get("encoding_format") == "base64" else numbers
        texts = body["input"][self.lost :]
        said = {
            "object": "list",
            "model": body["model"],
            "data": [
                {"object": "embedding", "index": i, "embedding": told} for i in range(len(texts))
            ],
        }
        if self.counts:
            said["usage"] = {"prompt_tokens": 1000, "total_tokens": 1000}
        return json.dumps(said, indent=1).encode()  # not as we would write it


@contextmanager
def embedder() -> Iterator[Embedder]:
    """One that runs."""
    like = Embedder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            like.asked.append((self.path, self.headers["authorization"], body))
            time.sleep(like.takes_s)
            said = like.answer(body) if like.status == 200 else b'{"error": {"message": "no"}}'
            like.sent.append(said)
            self.send_response(like.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        like.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield like
        finally:
            server.shutdown()
            thread.join(10)
