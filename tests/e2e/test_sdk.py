"""The SDK over scripted targets: the whole street but for a model and a cloud."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from router import (
    AsyncRouter,
    ConfigError,
    Forbidden,
    LedgerError,
    LimitReached,
    NoAnswer,
    Router,
)
from router.ledger.report import Report

SURE = {"match": "sure", "text": "I am sure.", "mean_logprob": -0.01}
UNSURE = {"text": "I am not so sure.", "mean_logprob": -2.0}
CLOUD = {"text": "The cloud says so.", "usage": {"input_tokens": 100, "output_tokens": 10}}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a config with a scripted device and a scripted cloud."""

    def made(
        cloud: list[dict[str, Any]] | None = None,
        device: list[dict[str, Any]] | None = None,
        **more: Any,
    ) -> Path:
        config = {
            "version": 1,
            "policy": "balanced",
            "targets": {
                "device": {
                    "tier": "device",
                    "provider": "scripted",
                    "model": "script",
                    "options": {"steps": device or [SURE, UNSURE]},
                },
                "cloud": {
                    "tier": "cloud-fast",
                    "provider": "scripted",
                    "model": "script",
                    "options": {"steps": cloud or [CLOUD]},
                },
            },
            "ledger": {"folder": str(tmp_path / "ledger")},
            **more,
        }
        path = tmp_path / "firsthop.yaml"
        path.write_text(json.dumps(config, indent=1))
        return path

    return made


def test_a_sure_draft_stays_on_the_device(write: Write) -> None:
    with Router(write()) as router:
        answer = router.ask("are you sure?")

    assert answer.text == "I am sure."
    assert answer.answered_by == "device"
    assert [hop.cause for hop in answer.hops] == ["start"]
    assert answer.cost_usd == 0


def test_an_unsure_draft_goes_on_and_is_never_shown(write: Write) -> None:
    with Router(write()) as router:
        stream = router.stream("hm?")
        pieces = list(stream)

    assert "".join(pieces) == "The cloud says so."
    assert [hop.status for hop in stream.answer.hops] == ["deferred", "answered"]
    assert "draft.mean_logprob -2 >= -0.3" in stream.answer.explain()


def test_a_label_keeps_the_text_home(write: Write) -> None:
    with Router(write()) as router:
        answer = router.ask("hm?", label="secret")

        assert answer.answered_by == "device"
        assert answer.flags == ("uncertain",)
        with pytest.raises(Forbidden) as caught:
            router.ask("hm?", label="secret", target="cloud")
    assert caught.value.guards == ("private-stays-home",)


def test_a_named_target_is_the_only_one_asked(write: Write) -> None:
    with Router(write()) as router:
        answer = router.ask("are you sure?", target="cloud")

    assert [hop.target for hop in answer.hops] == ["cloud"]
    assert answer.hops[0].cause == "asked"


def test_a_dead_cloud_gives_back_the_draft_flagged(write: Write) -> None:
    with Router(write(cloud=[{"fail": {"kind": "auth_failed"}}])) as router:
        answer = router.ask("hm?")

    assert answer.text == "I am not so sure."
    assert answer.flags == ("uncertain",)
    assert [hop.status for hop in answer.hops] == ["answered", "failed"]


def test_when_all_fail_the_error_carries_every_cause(write: Write) -> None:
    failing = [{"fail": {"kind": "gone", "message": "it is no more"}}]
    with Router(write(cloud=failing, device=failing)) as router, pytest.raises(NoAnswer) as caught:
        router.ask("hm?")

    assert [hop.last.error_kind for hop in caught.value.hops] == ["gone", "gone"]
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert "it is no more" in str(group.exceptions[0])


def test_a_deadline_ends_a_call_that_hangs(write: Write) -> None:
    config = write(device=[{"hang": True}])
    with Router(config) as router, pytest.raises(LimitReached) as caught:
        router.ask("hm?", deadline_s=0.2)

    assert caught.value.limit == "deadline_s"
    assert caught.value.outcome is not None
    assert caught.value.outcome.total_s < 1.0


def test_a_dollar_limit_that_is_too_small_keeps_the_draft(write: Write) -> None:
    config = write()
    config.write_text(
        config.read_text().replace('"cloud-fast"', '"cloud-fast", "price": "dear-line"')
    )
    dear = {
        "id": "dear-line",
        "provider": "scripted",
        "model": "dear",
        "input_usd_per_1m": "10",
        "output_usd_per_1m": "100",
        "source": "this test",
        "checked": "2026-11-22",
        "valid_from": "2024-01-01",
    }
    free = {
        **dear,
        "id": "free-line",
        "model": "*",
        "input_usd_per_1m": "0",
        "output_usd_per_1m": "0",
    }
    prices = {"prices": [dear, {**free, "basis": "a script"}]}
    (config.parent / "prices.yaml").write_text(yaml.safe_dump(prices))
    text = config.read_text().replace('"version"', '"prices": "prices.yaml", "version"', 1)
    config.write_text(text)
    with Router(config) as router:
        poor = router.ask("hm?", cost_usd="0.000001")
        rich = router.ask("hm?", cost_usd="0.5", max_output_tokens=20)

    assert poor.answered_by == "device"
    assert poor.flags == ("uncertain", "limit:cost_usd")
    assert rich.answered_by == "cloud"
    assert rich.cost_usd == Decimal("0.002")


def test_feedback_is_written_and_an_unknown_id_is_an_error(write: Write, tmp_path: Path) -> None:
    with Router(write()) as router:
        answer = router.ask("are you sure?")
        router.feedback(answer.decision_id, good=True, note="right")
        with pytest.raises(LedgerError):
            router.feedback("01JB7Q00000000000000000000", good=True)
    with Report.open(tmp_path / "ledger") as report:
        detail = report.request(answer.decision_id)

    assert [(label.good, label.note) for label in detail.labels] == [(True, "right")]
    assert detail.messages is None
    assert detail.answer is None


def test_text_is_kept_only_when_the_config_says_so(write: Write, tmp_path: Path) -> None:
    config = write(ledger={"folder": str(tmp_path / "ledger"), "keep_text": True})
    with Router(config) as router:
        answer = router.ask("are you sure?")
    with Report.open(tmp_path / "ledger") as report:
        detail = report.request(answer.decision_id)

    assert detail.answer == "I am sure."
    assert detail.messages is not None
    assert detail.messages[0].content == "are you sure?"


def test_many_threads_share_one_router(write: Write) -> None:
    with Router(write()) as router:
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda: found.append(router.ask("sure").text))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert found == ["I am sure."] * 16


def test_many_tasks_share_one_router(write: Write) -> None:
    async def main() -> set[str]:
        async with AsyncRouter(write()) as router:
            answers = await asyncio.gather(*(router.ask("sure") for _ in range(50)))
            return {a.decision_id for a in answers}

    assert len(asyncio.run(main())) == 50


def test_a_caller_who_leaves_is_booked_as_cancelled(write: Write, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncRouter(write(device=[{"hang": True}])) as router:
            task = asyncio.create_task(router.ask("hm?"))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    with Report.open(tmp_path / "ledger") as report:
        (row,) = report.recent()
        detail = report.request(row.decision_id)

    assert row.status == "cancelled"
    assert detail.hops[0].attempts[0].error_kind == "cancelled"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"label": "sercet"}, "did you mean 'secret'?"),
        ({"target": "clout"}, "did you mean 'cloud'?"),
        ({"policy": "balancd"}, "did you mean 'balanced'?"),
        ({"cost_usd": "a lot"}, "no amount of dollars"),
        ({"max_output_tokens": 0}, "at least 1"),
        ({"deadline_s": -1}, "deadline_s"),
        ({"temperature": -0.5}, "temperature"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_runs(
    write: Write, options: dict[str, Any], says: str
) -> None:
    with Router(write()) as router, pytest.raises(ConfigError, match=says.replace("?", r"\?")):
        router.ask("hm?", **options)


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        ([], "nothing was asked"),
        ("   ", "nothing was asked"),
        ([{"role": "usr", "content": "x"}], "did you mean 'user'?"),
        ([{"role": "user"}], r"messages[0].content"),
    ],
)
def test_a_wrong_conversation_names_the_turn(write: Write, turns: Any, says: str) -> None:
    with Router(write()) as router, pytest.raises(ConfigError) as caught:
        router.ask(turns)

    assert says in str(caught.value)


def test_a_stream_has_no_answer_before_its_end(write: Write) -> None:
    with Router(write()) as router:
        stream = router.stream("sure")
        with pytest.raises(RuntimeError, match="not ended"):
            _ = stream.answer
        stream.close()


def test_a_closed_router_says_so(write: Write) -> None:
    router = Router(write())
    router.close()
    router.close()

    with pytest.raises(RuntimeError, match="closed"):
        router.ask("hm?")


def test_closing_ends_the_calls_of_other_threads(write: Write, tmp_path: Path) -> None:
    router = Router(write(device=[{"hang": True}]))
    errors: list[BaseException] = []

    def asking() -> None:
        try:
            router.ask("hm?")
        except RuntimeError as exc:
            errors.append(exc)

    thread = threading.Thread(target=asking, daemon=True)
    thread.start()
    wait_for_a_line(tmp_path / "ledger" / "journal")
    router.close()
    thread.join(10)

    assert not thread.is_alive()
    assert ["closed before it had answered" in str(e) for e in errors] == [True]
    with Report.open(tmp_path / "ledger") as report:
        assert [row.status for row in report.recent()] == ["cancelled"]


def wait_for_a_line(journal: Path) -> None:
    until = time.monotonic() + 20
    while not any(f.stat().st_size for f in journal.glob("*.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_stream_left_half_way_is_cancelled_when_the_router_closes(
    write: Write, tmp_path: Path
) -> None:
    many = {"text": "one two three four", "tpot_s": 0.05}
    with Router(write(cloud=[many])) as router:
        stream = router.stream("hm?", target="cloud")
        next(stream)
    stream.close()

    with Report.open(tmp_path / "ledger") as report:
        assert [row.status for row in report.recent()] == ["cancelled"]


@pytest.mark.skipif(sys.platform == "win32", reason="fork is POSIX")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize(("used", "code"), [(True, 3), (False, 0)])
def test_after_a_fork_it_answers_or_says_so_but_never_hangs(
    write: Write, used: bool, code: int
) -> None:
    with Router(write()) as router:
        if used:
            router.ask("sure")
        child = os.fork()  # type: ignore[attr-defined,unused-ignore]
        if child == 0:
            try:
                router.ask("sure")
                router.close()
                os._exit(0)
            except RuntimeError:
                router.close()
                os._exit(3)
            finally:
                os._exit(9)
        until = time.monotonic() + 30
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < until:  # type: ignore[attr-defined,unused-ignore]
            time.sleep(0.02)

    assert ended[0] == child
    assert os.waitstatus_to_exitcode(ended[1]) == code


def test_an_async_router_keeps_to_one_event_loop(write: Write) -> None:
    router = AsyncRouter(write())
    asyncio.run(_text_of(router))
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(_text_of(router))
    asyncio.run(router.aclose())


async def _text_of(router: AsyncRouter) -> str:
    return (await router.ask("sure")).text


def test_a_closed_async_router_says_so_before_it_touches_anything(write: Write) -> None:
    async def main() -> None:
        router = AsyncRouter(write())
        await router.aclose()
        await router.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await router.ask("hm?")
        with pytest.raises(RuntimeError, match="closed"):
            await router.feedback("01JB7Q00000000000000000000", good=True)

    asyncio.run(main())


def test_feedback_of_another_type_is_refused_and_not_lost(write: Write) -> None:
    with Router(write()) as router:
        answer = router.ask("are you sure?")
        with pytest.raises(ConfigError, match="good"):
            router.feedback(answer.decision_id, good="yes")  # type: ignore[arg-type]
