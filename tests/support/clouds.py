"""A stand-in on loopback for each service a target can be: lists, answers, and refusals that tell.

One server of a thread of its own for each `Cloud`. It takes one key; any other is refused with a
401 that repeats what was sent, in body, `WWW-Authenticate` and request id: what careless
gateways do. It counts what it was asked.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import quote

TEXT = "Paris is what the cloud says."


@dataclass
class Cloud:
    """One service.

    Attributes:
        kind: A provider's name, or ``lmstudio`` or ``foundry``.
        key: The key it takes. None: it needs none.
        models: What it lists and answers for.
        served: How it calls what answers. None: as it was asked.
        shutdown: `shutdown_date` of every model it lists.
        skew_s: Seconds its clock is ahead.
        fails: Status of every call that has a good key.
        ready: A container's model is loaded. None: it has no such route.
        open_list: It shows its models to anybody.
        names_calls: It gives each answer an id in a header, beside the one in its body.
        logprob: Of every word it says, when it is asked for that. None: it says nothing.
        asked: Method and path of all that came.
        prompts: Bodies of what was asked of the model.
    """

    kind: str
    key: str | None = None
    models: tuple[str, ...] = ("a-model",)
    served: str | None = None
    shutdown: str | None = None
    skew_s: float = 0.0
    fails: int | None = None
    ready: bool | None = None
    open_list: bool = False
    names_calls: bool = True
    logprob: float | None = None
    asked: list[str] = field(default_factory=list)
    prompts: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address, without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def base_url(self) -> str:
        """What a target's `base_url` is."""
        path = {"azure_ai": "/openai/v1", "ollama": "", "github_models": "/inference"}
        return self.url + path.get(self.kind, "/v1")

    def __enter__(self) -> Cloud:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def date_time_string(self, timestamp: float | None = None) -> str:
            import time

            return formatdate((timestamp or time.time()) + cloud.skew_s, usegmt=True)

        def do_GET(self) -> None:
            cloud.asked.append(f"GET {self.path}")
            path = self.path.removeprefix("/openai").removeprefix("/catalog")
            if path == "/api/version":
                return self._say(200, {"version": "0.40.0"})
            if path.startswith("/v1/health/") and cloud.ready is not None:
                up = cloud.ready or path.endswith("live")
                return self._say(200 if up else 503, {})
            if not cloud.open_list and self._refused():
                return None
            if path == "/api/tags" and cloud.kind == "ollama":
                return self._say(200, {"models": [{"name": name} for name in cloud.models]})
            if path in ("/v1/models", "/models") and cloud.kind != "ollama":
                more = {"shutdown_date": cloud.shutdown} if cloud.shutdown else {}
                return self._say(200, {"data": [{"id": m, **more} for m in cloud.models]})
            return self._say(404, {"error": {"message": "no such path"}})

        def do_POST(self) -> None:
            cloud.asked.append(f"POST {self.path}")
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self._refused():
                return None
            if cloud.fails is not None:
                return self._echo(cloud.fails)
            if body["model"] not in cloud.models:
                return self._say(404, {"error": {"message": "model not found", "code": "404"}})
            if self.path == "/api/show":
                return self._say(200, {})
            cloud.prompts.append(body)
            if self.path == "/api/chat":
                return self._lines(body)
            if self.path.endswith("/chat/completions"):
                return self._events(body)
            return self._say(404, {"error": {"message": "no such path"}})

        def _sent(self) -> str:
            if cloud.kind == "proxy":
                return (self.headers["proxy-authorization"] or "").removeprefix("Basic ")
            bearer = (self.headers["authorization"] or "").removeprefix("Bearer ")
            return str(self.headers["api-key"] or bearer)

        def _refused(self) -> bool:
            if cloud.key is None or self._sent() == cloud.key:
                return False
            self._echo(401)
            return True

        def _echo(self, status: int) -> None:
            """Refuse, and repeat what was sent wherever there is room."""
            sent = self._sent() or "nothing"
            said = {"error": {"message": f"Incorrect API key {sent} given", "code": sent}}
            self._say(
                status,
                said,
                {
                    "WWW-Authenticate": f'Bearer realm="api", error="{sent}"',
                    "x-request-id": f"req-{sent}",
                    "x-ms-error-code": sent,
                    "location": f"http://127.0.0.1:9/{quote(sent, safe='')}?key={sent}",
                },
            )

        def _say(self, status: int, value: Any, more: dict[str, str] | None = None) -> None:
            self._send(status, "application/json", json.dumps(value).encode(), more)

        def _send(
            self, status: int, kind: str, body: bytes, more: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            headers = {"content-type": kind, "content-length": str(len(body)), **(more or {})}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _events(self, body: Any) -> None:
            head = {"id": f"c-{self._sent()}", "model": cloud.served or body["model"]}
            events: list[Any] = []
            for word in TEXT.split(" "):
                choice: dict[str, Any] = {"index": 0, "delta": {"content": word + " "}}
                if cloud.logprob is not None and body.get("logprobs"):
                    said = {"token": word, "logprob": cloud.logprob, "top_logprobs": []}
                    choice["logprobs"] = {"content": [said]}
                events.append({**head, "choices": [choice]})
            events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            usage = {"prompt_tokens": 9, "completion_tokens": 6}
            events.append({**head, "choices": [], "usage": usage})
            told = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n"
            # Some gateways make an id of the key that a request came with.
            more = {"x-request-id": f"req-{self._sent()}"} if cloud.names_calls else {}
            self._send(200, "text/event-stream", told.encode(), more)

        def _lines(self, body: Any) -> None:
            first: dict[str, Any] = {
                "model": body["model"],
                "message": {"role": "assistant", "content": TEXT},
                "done": False,
            }
            if cloud.logprob is not None and body.get("logprobs"):
                first["logprobs"] = [{"token": TEXT, "logprob": cloud.logprob}]
            last = {
                "model": body["model"],
                "message": {"role": "assistant", "content": ""},
                "done": True,
                "done_reason": "stop",
                "prompt_eval_count": 9,
                "eval_count": 6,
            }
            told = "".join(json.dumps(line) + "\n" for line in (first, last))
            self._send(200, "application/x-ndjson", told.encode())

    return Handler
