"""What the two ways of sending have to do alike: trust, proxies, limits, staying on the road."""

from __future__ import annotations

import asyncio
import ssl
import traceback
from pathlib import Path
from typing import Any

import pytest
from contract.calls import ASK, KEY, TRANSPORTS, Heard, listen, opened, target
from contract.replay import WIRE, Recording, Replay, load

from router import providers
from router.errors import HopError
from router.providers.base import Dialect, Transport
from router.providers.openai_wire import OpenAIWire
from router.standin import StandIn, answer
from router.types import Ask, Message, RateLimit, Usage

TLS = Path(__file__).parent / "tls"
PLAIN = load(WIRE / "common" / "plain.http")
EACH_WAY = pytest.mark.parametrize("transport", TRANSPORTS)


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.pem")
    return context


def asked(replay: Replay, transport: Transport, base_url: str | None = None, **more: Any) -> Heard:
    """One call, to `replay` unless another address is given."""

    async def main() -> Heard:
        async with replay:
            if "proxy" in more:
                more["proxy"] = more["proxy"].replace("PORT", str(replay.port))
            bound = target("openai_compatible", base_url or replay.url(), transport, **more)
            async with opened(providers.build(bound)) as provider:
                return await listen(provider)

    return asyncio.run(main())


def failure(heard: Heard) -> HopError:
    assert heard.error is not None
    return heard.error


def recorded(head: str, *packets: bytes) -> Recording:
    lines = head.replace("\n", "\r\n") + "\r\n\r\n"
    return Recording("made here", "", {}, lines.encode(), packets, "end")


@EACH_WAY
def test_a_certificate_nobody_vouches_for_is_refused_for_good(transport: Transport) -> None:
    error = failure(asked(Replay([PLAIN], tls=server_tls()), transport))

    assert (error.kind, error.retryable, error.unbilled) == ("unavailable", False, True)
    assert "certificate" in error.message
    assert "ca_file" in error.message


@EACH_WAY
def test_an_authority_named_by_the_target_is_trusted(transport: Transport) -> None:
    replay = Replay([PLAIN], tls=server_tls())

    heard = asked(replay, transport, ca_file=str(TLS / "authority.pem"))

    assert heard.error is None
    assert heard.text == "Hello, you."


@EACH_WAY
def test_tls_spoken_to_a_server_without_it_is_unavailable(transport: Transport) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async def main() -> Heard:
        async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"https://127.0.0.1:{port}/v1"
            bound = target("openai_compatible", url, transport)
            async with opened(providers.build(bound)) as provider:
                heard = await listen(provider)
            await left.wait()
        return heard

    left = asyncio.Event()
    error = failure(asyncio.run(main()))

    assert (error.kind, error.unbilled) == ("unavailable", True)
    assert "TLS" in error.message


@EACH_WAY
def test_a_plain_call_goes_through_the_targets_proxy(transport: Transport) -> None:
    replay = Replay([PLAIN])

    heard = asked(
        replay, transport, "http://cloud.example/v1", proxy="http://me:word@127.0.0.1:PORT"
    )

    assert heard.text == "Hello, you."
    (sent,) = replay.sent
    assert sent.line == "POST http://cloud.example/v1/chat/completions HTTP/1.1"
    assert sent.values("proxy-authorization") == ["Basic bWU6d29yZA=="]


@EACH_WAY
def test_a_plain_call_goes_through_the_environments_proxy(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> tuple[Heard, Replay]:
        async with Replay([PLAIN]) as replay:
            monkeypatch.setenv("HTTP_PROXY", replay.url(""))
            bound = target("openai_compatible", "http://cloud.example/v1", transport)
            async with opened(providers.build(bound)) as provider:
                return await listen(provider), replay

    heard, replay = asyncio.run(main())

    assert heard.text == "Hello, you."
    assert replay.sent[0].line.startswith("POST http://cloud.example/")


@EACH_WAY
def test_a_server_on_this_machine_is_reached_past_the_environments_proxy(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    assert asked(Replay([PLAIN]), transport).text == "Hello, you."


@EACH_WAY
@pytest.mark.parametrize(("status", "retryable"), [(407, False), (502, True)])
def test_a_proxy_that_refuses_a_tunnel_sees_neither_key_nor_text(
    transport: Transport, status: int, retryable: bool
) -> None:
    replay = Replay([recorded(f"HTTP/1.1 {status} No\nContent-Length: 0\nConnection: close")])

    error = failure(
        asked(replay, transport, "https://cloud.example/v1", proxy="http://127.0.0.1:PORT")
    )

    assert (error.kind, error.retryable, error.unbilled) == ("unavailable", retryable, True)
    assert "proxy" in error.message
    (sent,) = replay.sent
    assert sent.line == "CONNECT cloud.example:443 HTTP/1.1"
    assert KEY not in str(sent)
    assert sent.raw_body == b""


@EACH_WAY
def test_a_proxy_that_is_not_there_is_unavailable(transport: Transport) -> None:
    async def main() -> Heard:
        async with Replay([PLAIN]) as replay:
            gone = replay.url("")
        bound = target("openai_compatible", "https://cloud.example/v1", transport, proxy=gone)
        async with opened(providers.build(bound)) as provider:
            return await listen(provider)

    error = failure(asyncio.run(main()))

    assert (error.kind, error.retryable, error.unbilled) == ("unavailable", True, True)


@EACH_WAY
def test_a_netrc_file_adds_no_credentials(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password netrc-secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    replay = Replay([PLAIN])

    heard = asked(replay, transport, api_key=None)

    assert heard.error is None
    assert replay.sent[0].values("authorization") == []


@EACH_WAY
def test_a_redirect_is_not_followed(transport: Transport) -> None:
    async def main() -> tuple[Heard, Replay]:
        async with Replay([PLAIN]) as other:
            moved = f"HTTP/1.1 308 Moved\nLocation: {other.url()}/x\nContent-Length: 0"
            async with Replay([recorded(moved)]) as replay:
                bound = target("openai_compatible", replay.url(), transport)
                async with opened(providers.build(bound)) as provider:
                    return await listen(provider), other

    heard, other = asyncio.run(main())

    assert failure(heard).kind == "refused"
    assert other.connections == 0


STREAM = "HTTP/1.1 200 OK\nContent-Type: text/event-stream\nConnection: close"


@EACH_WAY
def test_a_line_without_end_is_cut_off_at_a_megabyte(transport: Transport) -> None:
    replay = Replay([recorded(STREAM, b"data: ", *([b"x" * 60_000] * 40))])

    error = failure(asked(replay, transport))

    assert error.kind == "bad_wire"
    assert "1000000 bytes" in error.message


@EACH_WAY
def test_an_endless_error_page_is_not_read_to_its_end(transport: Transport) -> None:
    page = [b"x" * 60_000] * 2000
    replay = Replay([recorded("HTTP/1.1 500 Oh\nConnection: close", *page)])

    error = failure(asked(replay, transport))

    assert (error.kind, error.status) == ("unavailable", 500)
    assert len(error.message) < 400


@EACH_WAY
def test_a_whole_text_is_not_kept_waiting_for_its_usage(transport: Transport) -> None:
    async def main() -> Heard:
        async with Replay([load(WIRE / "common" / "stall_after_finish.http")]) as replay:
            bound = target("openai_compatible", replay.url(), transport, timeout_s=60.0)
            wire = OpenAIWire(bound, Dialect(name="any"), after_text_s=0.05)
            async with opened(wire) as provider, asyncio.timeout(5.0):
                return await listen(provider)

    heard = asyncio.run(main())

    assert heard.error is None
    assert (heard.text, heard.only("finish"), heard.only("usage")) == ("Hello, you.", "stop", None)


@EACH_WAY
def test_azure_gets_its_key_and_the_calls_id_as_it_names_them(transport: Transport) -> None:
    async def main() -> Replay:
        async with Replay([PLAIN]) as replay:
            bound = target("azure_ai", replay.url("/openai/v1"), transport)
            async with opened(providers.build(bound)) as provider:
                await listen(provider)
        return replay

    (sent,) = asyncio.run(main()).sent

    assert sent.line.startswith("POST /openai/v1/chat/completions ")
    assert sent.values("api-key") == [KEY]
    assert sent.values("authorization") == []
    assert sent.values("x-ms-client-request-id") == [ASK.attempt_id]
    assert sent.body["max_completion_tokens"] == ASK.max_output_tokens


@EACH_WAY
def test_an_error_that_is_never_told_to_its_end_is_told_by_its_status(transport: Transport) -> None:
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: 99\r\nRetry-After: 4\r\n\r\n"
    replay = Replay([Recording("made here", "", {}, head, (b'{"error',), "stall")])

    error = failure(asked(replay, transport))

    assert (error.kind, error.status, error.retry_after_s) == ("unavailable", 503, 4.0)


@EACH_WAY
def test_a_proxys_password_is_in_no_error(transport: Transport) -> None:
    replay = Replay([recorded("HTTP/1.1 407 No\nContent-Length: 0\nConnection: close")])

    error = failure(
        asked(replay, transport, "https://cloud.example/v1", proxy="http://me:word9@127.0.0.1:PORT")
    )

    assert "word9" not in "".join(traceback.format_exception(error))


@EACH_WAY
def test_another_event_loop_is_refused_as_a_hop_is(transport: Transport) -> None:
    async def main() -> Any:
        async with Replay([PLAIN]) as replay:
            provider = providers.build(target("openai_compatible", replay.url(), transport))
            await listen(provider)
            await provider.aclose()
        return provider

    provider = asyncio.run(main())

    error = failure(asyncio.run(listen(provider)))
    assert (error.kind, error.retryable, error.unbilled) == ("unavailable", False, True)
    assert "event loop" in error.message


@EACH_WAY
def test_a_server_that_hangs_up_without_an_answer_is_unavailable(transport: Transport) -> None:
    replay = Replay([Recording("made here", "", {}, b"", (), "cut")])

    error = failure(asked(replay, transport))

    assert (error.kind, error.retryable, error.unbilled) == ("unavailable", True, False)


@EACH_WAY
def test_text_no_wire_carries_is_refused_before_sending(transport: Transport) -> None:
    async def main() -> tuple[HopError, Replay]:
        async with Replay([PLAIN]) as replay:
            bound = target("openai_compatible", replay.url(), transport)
            ask = Ask(
                attempt_id="a",
                messages=(Message(role="user", content="half \ud83d"),),
                max_output_tokens=5,
            )
            async with opened(providers.build(bound)) as provider:
                return failure(await listen(provider, ask)), replay

    error, replay = asyncio.run(main())

    assert (error.kind, error.unbilled) == ("refused", True)
    assert replay.sent == []


@EACH_WAY
def test_the_stand_in_answers_by_saying_what_it_is(transport: Transport) -> None:
    async def main() -> tuple[Heard, Heard]:
        async with StandIn() as stand_in:
            bound = target("openai_compatible", stand_in.base_url, transport)
            async with opened(providers.build(bound)) as provider:
                short = Ask(attempt_id="a", messages=ASK.messages, max_output_tokens=3)
                return await listen(provider), await listen(provider, short)

    whole, short = asyncio.run(main())

    assert whole.error is None
    assert whole.text == answer("And now? 🌍")
    assert "I am a stand-in" in whole.text
    assert (whole.only("model"), whole.only("finish")) == ("stand-in", "stop")
    words = len(whole.text.split())
    assert whole.only("usage") == Usage(input_tokens=7, output_tokens=words)
    assert (short.text, short.only("finish")) == ("I am a", "length")
    assert short.only("usage").output_tokens == 3


@EACH_WAY
def test_the_time_to_connect_is_told_and_a_connection_that_is_there_takes_none(
    transport: Transport,
) -> None:
    limited = recorded(
        "HTTP/1.1 200 OK\nContent-Type: text/event-stream\nConnection: keep-alive\n"
        "Content-Length: 83\nx-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 12ms",
        b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n   ',
    )

    async def main() -> list[Heard]:
        async with Replay([limited]) as replay:
            bound = target("openai_compatible", replay.url(), transport)
            async with opened(providers.build(bound)) as provider:
                return [await listen(provider), await listen(provider)]

    first, second = (heard.only("transit") for heard in asyncio.run(main()))

    assert 0 < first.connect_s < 5
    assert second.connect_s == 0
    assert first.limit == RateLimit(remaining_requests=0, reset_requests_s=0.012)


@EACH_WAY
def test_a_refusal_tells_how_it_travelled_too(transport: Transport) -> None:
    error = failure(asked(Replay([load(WIRE / "common" / "429_short.http")]), transport))

    assert error.transit is not None
    assert error.transit.connect_s


@EACH_WAY
def test_a_host_that_refuses_is_one_that_there_is_a_way_to(transport: Transport) -> None:
    async def main() -> Heard:
        async with Replay([PLAIN]) as replay:
            gone = replay.url()
        async with opened(providers.build(target("openai_compatible", gone, transport))) as one:
            return await listen(one)

    error = failure(asyncio.run(main()))

    assert (error.reached, error.no_way, error.transit) == (False, False, None)
