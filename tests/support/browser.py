"""A real Chromium looks at a page at several widths, light and dark, and tells what it saw.

It is driven by its command line alone: a page of ours holds the one to look at in frames, measures
them, and is printed by the browser when it is done. Everything is served from loopback.
"""

from __future__ import annotations

import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PROBE = """<!DOCTYPE html><meta charset="utf-8"><body><pre id="told"></pre><script>
const told = [], widths = WIDTHS;
function look(width, frame) {
  const doc = frame.contentDocument, win = frame.contentWindow;
  const boxes = [...doc.querySelectorAll("svg")].map(s => s.getBoundingClientRect());
  const texts = [...doc.querySelectorAll("svg text")].map(t => t.getBoundingClientRect());
  told.push({
    width,
    overflow: doc.documentElement.scrollWidth - doc.documentElement.clientWidth,
    plots: boxes.map(b => [b.width, b.height]),
    outside: texts.filter(t => t.width && !boxes.some(b => t.left >= b.left - 1 &&
      t.right <= b.right + 1 && t.top >= b.top - 1 && t.bottom <= b.bottom + 1)).length,
    smallest: Math.min(...texts.map(t => t.height).filter(h => h > 0)),
    paper: win.getComputedStyle(doc.body).backgroundColor,
    ink: win.getComputedStyle(doc.body).color,
    plotInk: win.getComputedStyle(doc.querySelector("svg text")).fill,
    loaded: win.performance.getEntriesByType("resource").length,
    errors: doc.querySelectorAll("parsererror").length,
  });
  if (told.length === widths.length)
    document.getElementById("told").textContent = JSON.stringify(told);
}
for (const width of widths) {
  const frame = document.createElement("iframe");
  frame.style = `width:${width}px;height:900px;border:0`;
  frame.onload = () => look(width, frame);
  frame.src = "PAGE";
  document.body.append(frame);
}
</script>"""


def chromium() -> str:
    """Where it lies; without one the test is skipped, which where nothing may be is a failure."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip("no Chromium here (on Debian: apt-get install chromium)")
    return found


def looked_at(page: Path, widths: tuple[int, ...], *, dark: bool) -> list[dict[str, Any]]:
    """What the browser saw of a page, once for each width."""
    probe = page.with_name("probe.html")
    probe.write_text(
        _PROBE.replace("WIDTHS", json.dumps(widths)).replace("PAGE", page.name), encoding="utf-8"
    )
    with _served(page.parent) as address:
        done = subprocess.run(
            [
                chromium(),
                *_FLAGS,
                f"--user-data-dir={page.parent / 'profile'}",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                "--virtual-time-budget=8000",
                "--dump-dom",
                f"{address}/{probe.name}",
            ],
            capture_output=True,
            timeout=90,
            check=True,
        )
    said = re.search(r'<pre id="told">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert said is not None, done.stderr.decode()[-2000:]
    seen: list[dict[str, Any]] = json.loads(html.unescape(said[1]))
    return sorted(seen, key=lambda one: one["width"])


_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *said: object) -> None:
        """Nothing."""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
