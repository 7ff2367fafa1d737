"""The device end to end: a real runtime in a real process, met by links of this and other
processes, killed in the worst moments. The model is a tiny Phi-3 made here."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.loops import in_loop
from support.tiny_phi3 import build_tiny_phi3

from router.clock import SystemClock
from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.link import DeviceLink
from router.device.meeting import Card, read_card
from router.device.place import place_for
from router.device.serving import Limits
from router.errors import HopError, Incapable, Refused, Unavailable
from router.types import Message

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc")
WAYS = ["tcp"] if sys.platform == "win32" else ["unix", "tcp"]
LIMITS = Limits(linger_s=0.3)
LONG = 3000


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")


@pytest.fixture
def runtime():
    """A meeting folder whose path is short enough for a socket; nobody may be left in it."""
    short = tempfile.mkdtemp(prefix="fh", dir="/tmp" if Path("/tmp").is_dir() else None)
    yield Path(short)
    left = [pid for pid in workers_in(short) if not gone(pid, 3.0)]
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    shutil.rmtree(short, ignore_errors=True)
    assert left == []


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


def workers_in(folder):
    """Process ids of workers that meet in `folder`, where the platform shows them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "firsthop.device.worker" in said and f'"{folder}"' in said:
            found.append(int(entry.parent.name))
    return found


def running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    except OSError:
        pass
    if Path("/proc/self").exists():
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def gone(pid, within_s):
    end = time.monotonic() + within_s
    while running(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not running(pid)


@asynccontextmanager
async def linked(folder, runtime, way=None, limits=LIMITS, clock=None, **options):
    link = DeviceLink(
        EngineOptions(folder=str(folder), threads=1, **options),
        limits=limits,
        folder=runtime,
        transport=way,
        clock=clock,
    )
    try:
        yield link
    finally:
        await link.aclose()


def job(text="Tell me.", tokens=20, **rest):
    return Job(messages=(Message(role="user", content=text),), max_output_tokens=tokens, **rest)


async def collect(link, wanted):
    replies = [reply async for reply in link.run(wanted)]
    text = "".join(r.text for r in replies if isinstance(r, wire.Token))
    return text, replies[-1]


async def kill_in_mid_answer(link):
    async for _ in link.run(job(tokens=LONG)):
        os.kill(link.worker_pid, signal.SIGKILL)


async def until_running(link):
    async with asyncio.timeout(10):
        while not (await link.health()).running:
            await asyncio.sleep(0)


def start_client(tiny, runtime, way):
    client = Path(__file__).parents[1] / "support" / "device_client.py"
    return subprocess.Popen(
        [sys.executable, str(client), str(tiny), str(runtime), way],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def close_client(client):
    client.stdin.close()
    client.stdout.close()
    client.wait(10)


@in_loop
async def test_an_answer_comes_through_the_worker(tiny, runtime, way):
    async with linked(tiny, runtime, way) as link:
        info = await link.start()
        replies = [reply async for reply in link.run(job(tokens=10))]
        health = await link.health()
        counted = await link.count_tokens(job().messages)

    tokens, done = replies[:-1], replies[-1]
    assert (info.device, info.context_limit) == ("cpu", 4096)
    assert len(tokens) == 10
    assert all(t.logprob <= 0 and t.entropy > 0 and 0 <= t.margin <= 1 for t in tokens)
    assert (done.finish, done.output_tokens, done.input_tokens) == ("length", 10, counted)
    assert (health.jobs_done, health.clients, health.running) == (1, 1, False)


@in_loop
async def test_a_link_that_was_never_used_starts_nothing(tiny, runtime):
    async with linked(tiny, runtime) as link:
        assert await link.count_tokens(job().messages) is None
        assert await link.health() is None
        assert link.worker_pid is None
    assert workers_in(runtime) == []


@in_loop
async def test_health_finds_a_worker_that_somebody_else_started(tiny, runtime, way):
    async with linked(tiny, runtime, way) as one, linked(tiny, runtime, way) as other:
        await one.start()
        health = await other.health()

        assert health.pid == one.worker_pid
        assert health.clients == 2


@in_loop
async def test_asking_for_health_while_connecting_makes_one_connection(tiny, runtime, way):
    async with linked(tiny, runtime, way) as up, linked(tiny, runtime, way) as link:
        await up.start()
        await asyncio.gather(link.health(), link.start(), link.health(), link.start())
        async with asyncio.timeout(10):
            while (await link.health()).clients != 2:
                await asyncio.sleep(0.01)


@in_loop
async def test_many_tasks_and_links_share_one_worker_and_never_mix_answers(tiny, runtime, way):
    texts = [f"Number {n}." for n in range(4)]
    async with (
        linked(tiny, runtime, way) as a,
        linked(tiny, runtime, way) as b,
        linked(tiny, runtime, way) as c,
    ):
        links = [a, b, c]
        await asyncio.gather(*(link.start() for link in links))
        alone = [await collect(a, job(text)) for text in texts]
        together = await asyncio.gather(
            *(collect(link, job(text)) for text in texts for link in links)
        )

        assert len({link.worker_pid for link in links}) == 1
        expected = [text for text, _ in alone for _ in links]
        assert [text for text, _ in together] == expected
        assert len(set(expected)) == len(texts)


@in_loop
async def test_two_processes_share_one_worker(tiny, runtime, way):
    clients = [start_client(tiny, runtime, way) for _ in range(2)]
    try:
        pids = [int(await asyncio.to_thread(client.stdout.readline)) for client in clients]
        texts = []
        for client in clients:
            client.stdin.write("30\n")
            client.stdin.flush()
            texts.append(json.loads(await asyncio.to_thread(client.stdout.readline)))

        assert pids[0] == pids[1]
        assert texts[0] == texts[1] != ""
    finally:
        for client in clients:
            close_client(client)


@proc
@in_loop
async def test_four_processes_that_start_at_once_end_with_one_worker(tiny, runtime, way):
    clients = [start_client(tiny, runtime, way) for _ in range(4)]
    try:
        pids = {int(await asyncio.to_thread(client.stdout.readline)) for client in clients}

        assert len(pids) == 1
        assert workers_in(runtime) == list(pids)
    finally:
        for client in clients:
            close_client(client)


@posix
@in_loop
async def test_a_worker_killed_in_mid_answer_is_a_typed_error_and_the_next_one_works(
    tiny, runtime, way
):
    async with linked(tiny, runtime, way) as link:
        expected, _ = await collect(link, job())
        first = link.worker_pid
        with pytest.raises(Unavailable, match="SIGKILL") as caught:
            await kill_in_mid_answer(link)

        assert caught.value.retryable
        assert (await collect(link, job()))[0] == expected
        assert link.worker_pid != first
    assert not running(first)


@posix
@in_loop
async def test_what_a_worker_that_served_has_written_is_in_nobody_s_error(tiny, runtime):
    place = place_for(EngineOptions(folder=os.path.realpath(tiny), threads=1), folder=runtime)
    async with linked(tiny, runtime) as link:
        await link.start()
        with place.log.open("ab") as log:
            log.write(b"patient John Doe\n")
        with pytest.raises(Unavailable, match="SIGKILL") as caught:
            await kill_in_mid_answer(link)

    assert "John" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the worker's files")
@in_loop
async def test_what_the_runtime_prints_of_an_answer_is_not_kept(tiny, runtime):
    async with linked(tiny, runtime) as link:
        await link.start()
        descriptors = Path("/proc", str(link.worker_pid), "fd")
        assert os.readlink(descriptors / "2") == os.devnull


@posix
@in_loop
async def test_every_waiting_request_hears_of_the_death(tiny, runtime):
    async with linked(tiny, runtime) as link, linked(tiny, runtime) as stranger:
        await asyncio.gather(link.start(), stranger.start())
        waiting = [
            asyncio.create_task(collect(one, job(tokens=LONG))) for one in (link, link, stranger)
        ]
        await until_running(link)
        os.kill(link.worker_pid, signal.SIGKILL)
        results = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(result) for result in results] == [Unavailable] * 3
    assert all(result.retryable for result in results)


class ShiftedClock(SystemClock):
    """The real one, some time later."""

    later_s = 0.0

    def now(self):
        return super().now() + self.later_s


@posix
@in_loop
async def test_a_worker_that_keeps_dying_is_left_alone_for_a_while(tiny, runtime):
    clock = ShiftedClock()
    async with linked(tiny, runtime, clock=clock) as link:
        for _ in range(3):
            with pytest.raises(Unavailable, match="died"):
                await kill_in_mid_answer(link)
        with pytest.raises(Unavailable, match="3 times within 60 s") as caught:
            await link.start()
        assert not caught.value.retryable
        assert 0 < caught.value.retry_after_s <= 60

        clock.later_s = 60.0
        assert (await collect(link, job()))[0]


@posix
def test_no_process_is_left_two_seconds_after_its_client_was_killed(tiny, runtime, way):
    client = start_client(tiny, runtime, way)
    worker = int(client.stdout.readline())
    client.stdin.write(f"{LONG}\n")
    client.stdin.flush()
    client.kill()
    client.wait()
    close_client(client)

    assert gone(worker, 2.0)
    assert [f.name for f in runtime.iterdir() if f.suffix != ".lock"] == []


@in_loop
async def test_the_worker_stays_as_long_as_one_client_does(tiny, runtime):
    async with linked(tiny, runtime) as stays:
        async with linked(tiny, runtime) as leaves:
            await leaves.start()
            await stays.start()
            worker = leaves.worker_pid
        await asyncio.sleep(2 * LIMITS.linger_s)
        assert (await collect(stays, job()))[0]
        assert stays.worker_pid == worker
    assert await asyncio.to_thread(gone, worker, 2.0)


@posix
@in_loop
async def test_a_start_that_is_broken_off_leaves_no_process(tiny, runtime):
    async with linked(tiny, runtime) as link:
        starting = asyncio.create_task(link.start())
        async with asyncio.timeout(10):
            while not workers_in(runtime):
                await asyncio.sleep(0.002)
        [worker] = workers_in(runtime)
        await link.aclose()
        with pytest.raises(asyncio.CancelledError):
            await starting

    assert await asyncio.to_thread(gone, worker, 2.0)


@posix
@proc
def test_a_worker_whose_starter_is_killed_during_the_start_does_not_stay(tiny, runtime, way):
    client = start_client(tiny, runtime, way)
    end = time.monotonic() + 10
    while not workers_in(runtime) and time.monotonic() < end:
        time.sleep(0.002)
    [worker] = workers_in(runtime)
    client.kill()
    client.wait()
    close_client(client)

    assert gone(worker, 2.0)


@in_loop
async def test_a_cancelled_answer_frees_the_worker_at_once(tiny, runtime, way):
    async with linked(tiny, runtime, way) as link:
        answer = link.run(job(tokens=LONG))
        await anext(answer)
        await answer.aclose()
        _, done = await collect(link, job(tokens=1))

        assert done.queued_s < 0.1
        assert (await link.health()).jobs_done == 1


@in_loop
async def test_cancelling_the_task_cancels_the_answer(tiny, runtime):
    async with linked(tiny, runtime) as link:
        await link.start()
        task = asyncio.create_task(collect(link, job("The sea. " * 400, tokens=LONG)))
        await until_running(link)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        _, done = await collect(link, job(tokens=1))

        assert done.queued_s < 0.2


@in_loop
async def test_a_client_that_does_not_read_stalls_nobody(tiny, runtime):
    if sys.platform == "win32":
        pytest.skip("dials the Unix socket by hand")
    limits = Limits(linger_s=0.3, unread_bytes=2000)
    async with linked(tiny, runtime, limits=limits) as link:
        await link.start()
        options = EngineOptions(folder=os.path.realpath(tiny), threads=1)
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.connect(str(place_for(options, folder=runtime).socket))
            deaf.sendall(wire.pack(wire.Hello(wire.VERSION)))
            deaf.sendall(wire.pack(wire.Run(1, job(tokens=LONG))))
            async with asyncio.timeout(10):
                while (await link.health()).clients == 2:
                    await asyncio.sleep(0.01)

            assert (await collect(link, job()))[0]
            # The deaf one's answer may have been written before its silence was noticed.
            assert (await link.health()).jobs_done in (1, 2)


@in_loop
async def test_a_prompt_too_long_and_text_that_is_none_are_errors_of_the_request(tiny, runtime):
    async with linked(tiny, runtime) as link:
        with pytest.raises(Incapable, match="4,096") as caught:
            await collect(link, job("word " * 5000))
        assert caught.value.code == "context_length_exceeded"
        with pytest.raises(HopError, match="surrogate"):
            await collect(link, job("\ud800"))
        assert await link.count_tokens((Message(role="user", content="\ud800"),)) is None
        for wrong in (
            Job(messages=(Message(role="toll", content="x"),), max_output_tokens=5),
            Job(messages=(Message(role="user", content=None),), max_output_tokens=5),
            job(seed=2**80),
            job(seed=object()),
            job("x" * (17 << 20)),
        ):
            with pytest.raises(Refused):
                await collect(link, wrong)
        assert (await collect(link, job()))[0]


@in_loop
async def test_a_missing_accelerator_is_told_by_the_worker(tiny, runtime):
    async with linked(tiny, runtime, accelerator="cuda") as link:
        info = await link.start()

    assert info.device == "cpu"
    assert "cuda" in info.fallback


@in_loop
async def test_a_missing_folder_is_told_before_anything_starts(tmp_path, runtime):
    async with linked(tmp_path / "nowhere", runtime) as link:
        with pytest.raises(Unavailable, match="no such folder") as caught:
            await link.start()

    assert not caught.value.retryable
    assert not list(runtime.iterdir())


@in_loop
async def test_a_model_that_can_not_be_loaded_says_so_through_the_worker(
    tiny, runtime, tmp_path, way
):
    folder = shutil.copytree(tiny, tmp_path / "broken")
    (folder / "model.onnx").write_bytes(b"not a model")
    async with linked(folder, runtime, way) as link:
        with pytest.raises(Unavailable, match="can't be loaded") as caught:
            await link.start()

    assert not caught.value.retryable


@in_loop
async def test_a_worker_that_can_not_even_start_leaves_its_last_words(tiny, runtime, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", str(runtime / "no-python-here"))
    async with linked(tiny, runtime) as link:
        with pytest.raises(Unavailable, match="exit code 1") as caught:
            await link.start()

    assert "encodings" in str(caught.value)
    assert not caught.value.retryable


@posix
@in_loop
async def test_a_folder_that_can_not_be_locked_is_a_typed_error(tiny, runtime):
    options = EngineOptions(folder=os.path.realpath(tiny), threads=1)
    place_for(options, folder=runtime).lock.mkdir()
    async with linked(tiny, runtime) as link:
        with pytest.raises(Unavailable, match="can't be met") as caught:
            await link.start()

    assert str(runtime) in str(caught.value)


@in_loop
async def test_what_a_dead_worker_left_behind_is_no_obstacle(tiny, runtime, way):
    options = EngineOptions(folder=os.path.realpath(tiny), threads=1)
    place = place_for(options, folder=runtime, transport=way)
    if way == "unix":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(place.socket))
    else:
        with socket.socket() as dead:
            dead.bind(("127.0.0.1", 0))
            card = Card(port=dead.getsockname()[1], key="k", proof="p")
        place.card.write_text(json.dumps({"port": card.port, "key": "k", "proof": "p"}))
    async with linked(tiny, runtime, way) as link:
        assert (await collect(link, job()))[0]


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"ready"])
@in_loop
async def test_a_stranger_on_the_port_gets_no_prompt(tiny, runtime, words):
    heard = bytearray()

    async def stranger(reader, writer):
        heard.extend(await reader.read(1 << 16))
        info = wire.EngineInfo(
            model="m",
            engine="e",
            device="cpu",
            fallback=None,
            context_limit=1,
            load_s=0.0,
            memory_bytes=None,
        )
        said = wire.pack(wire.Ready(info, 1, "guessed")) if words == b"ready" else words
        writer.write(said)
        await writer.drain()
        heard.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(stranger, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = EngineOptions(folder=os.path.realpath(tiny), threads=1)
    place = place_for(options, folder=runtime, transport="tcp")
    place.card.write_text(json.dumps({"port": port, "key": "k", "proof": "p"}))
    async with linked(tiny, runtime, "tcp") as link:
        assert (await collect(link, job("a secret")))[0]
        assert read_card(place).port != port
    server.close()
    await server.wait_closed()

    assert heard
    assert b"secret" not in heard


@proc
@in_loop
async def test_the_runtime_s_telemetry_threads_are_not_there(tiny, runtime):
    async with linked(tiny, runtime) as link:
        await link.start()
        threads = list(Path(f"/proc/{link.worker_pid}/task").iterdir())

    assert len(threads) == 1


@posix
@proc
@in_loop
async def test_the_worker_can_be_nice(tiny, runtime):
    async with linked(tiny, runtime, nice=7) as link:
        await link.start()
        assert os.getpriority(os.PRIO_PROCESS, link.worker_pid) == 7


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_link_used_from_a_second_event_loop_connects_anew(tiny, runtime):
    link = DeviceLink(EngineOptions(folder=str(tiny), threads=1), limits=LIMITS, folder=runtime)

    async def last():
        answer = await collect(link, job())
        await link.aclose()
        return answer

    first, _ = asyncio.run(collect(link, job()))
    second, _ = asyncio.run(last())
    gc.collect()  # the first loop's transport says that nobody closed it, which is true

    assert first == second


@posix
@proc
def test_a_forked_child_connects_by_itself_and_both_go_on(tiny, runtime):
    code = f"""
import asyncio, os, sys
from pathlib import Path
from router.device import wire
from router.device.engine import EngineOptions, Job
from router.device.link import DeviceLink
from router.types import Message

link = DeviceLink(EngineOptions(folder={str(tiny)!r}, threads=1), folder=Path({str(runtime)!r}))
job = Job(messages=(Message(role="user", content="Tell me."),), max_output_tokens=30)

async def answer():
    return [reply async for reply in link.run(job)][:-1]

loop = asyncio.new_event_loop()
first = loop.run_until_complete(answer())
if os.fork() == 0:
    same = [t.text for t in asyncio.run(answer())] == [t.text for t in first]
    os._exit(0 if same else 1)
again = loop.run_until_complete(answer())
assert [t.text for t in again] == [t.text for t in first]
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 0, done.stderr
