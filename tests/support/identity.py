"""A stand-in on loopback for a managed identity, in the way App Service has it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def managed_identity(token: str) -> Iterator[str]:
    """Gives `token` to whoever asks; yields its address, for ``IDENTITY_ENDPOINT``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ends = int(time.time()) + 86_400
            told = {"access_token": token, "expires_on": str(ends), "resource": "x"}
            body = json.dumps({**told, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/token"
        finally:
            server.shutdown()
            thread.join()
