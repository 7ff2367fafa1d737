"""Whatever a server's list of models holds, looking at it ends in a `Check`."""

from __future__ import annotations

import datetime
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from router.providers.base import Dialect, Target
from router.providers.check import Check
from router.providers.looking import Got
from router.providers.openai_check import read_list

TARGET = Target(name="t", tier="x", provider="any", model="m")
DIALECT = Dialect(name="any")

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
entry = st.fixed_dictionaries(
    {"id": st.just("m") | anything},
    optional={"shutdown_date": anything, "max_model_len": anything, "name": anything},
)
lists = st.lists(entry | anything, max_size=4)


def read(body: bytes) -> Check:
    return read_list(Got(200, {}, body, 0.0, 0.0), TARGET, DIALECT)


@given(anything | lists | st.fixed_dictionaries({"data": lists | anything}))
def test_any_json_is_read_without_an_error_and_says_no_more_than_it_holds(told: Any) -> None:
    found = read(json.dumps(told).encode())

    entries = told.get("data") if isinstance(told, dict) else told
    if not isinstance(entries, list):
        assert (found.model_exists, len(found.says)) == (None, 1)
        return
    named = [e for e in entries if isinstance(e, dict) and "m" in (e.get("id"), e.get("name"))]
    assert found.reachable
    assert not (found.model_exists and not named)
    if found.retires is not None:
        assert datetime.date.fromisoformat(found.retires)
    assert found.context_limit is None or found.context_limit > 0


@given(st.binary(max_size=60))
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    assert read(body).reachable
