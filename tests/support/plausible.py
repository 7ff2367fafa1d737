"""Hooks of schemathesis: names that this server has, so that what it makes up gets further."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import schemathesis

NAMES = ("auto", "device", "cloud", "plain")


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """A model of some name becomes one that is there, and something is asked in the end.

    What is of the wrong type stays so.
    """
    if not isinstance(body, dict):
        return body
    if isinstance(body.get("model"), str):
        body["model"] = NAMES[len(body["model"]) % len(NAMES)]
    if isinstance(body.get("messages"), list):
        body["messages"] = [*body["messages"], {"role": "user", "content": "hm?"}]
    if isinstance(body.get("prompt"), str):
        body["prompt"] += "hm?"
    return body


@schemathesis.hook
def map_headers(context: Any, headers: Any) -> Any:
    """The same for a target. A deadline leaves the time to answer, or else is wrong."""
    if headers and "x-firsthop-target" in headers:
        headers["x-firsthop-target"] = "cloud"
    deadline = headers and headers.get("x-firsthop-deadline-s")
    with contextlib.suppress(TypeError, ValueError):
        if 0 < float(deadline) < math.inf:
            headers["x-firsthop-deadline-s"] = "30"
    return headers


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """The same for a model that is looked up."""
    if path_parameters and isinstance(path_parameters.get("model"), str):
        path_parameters["model"] = NAMES[len(path_parameters["model"]) % len(NAMES)]
    return path_parameters
