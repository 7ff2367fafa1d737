"""A request's head, and a body unpacked."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import Refused
from router.providers.narrow_inflate import (
    MOST_BYTES,
    Inflate,
    UnknownEncoding,
    inflate_for,
)
from router.providers.narrow_request import Heads, origin_of

TEXT = random.Random(7).randbytes(3000) + b"a" * 3000


def packed(data: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


FORMS = {
    "gzip": ("gzip", packed(TEXT, 31)),
    "gzip in two": ("x-gzip", packed(TEXT[:999], 31) + packed(TEXT[999:], 31)),
    "gzip and rubbish": ("GZip", packed(TEXT, 31) + b"\0\0rubbish"),
    "gzip without end": ("gzip, identity", packed(TEXT, 31)[:-8]),
    "zlib": ("deflate", packed(TEXT, 15)),
    "bare deflate": ("deflate", packed(TEXT, -15)),
}


@given(st.sampled_from(sorted(FORMS)), st.lists(st.integers(0, 6000), max_size=8))
def test_a_body_unpacks_alike_however_it_is_split(form: str, cuts: list[int]) -> None:
    encoding, whole = FORMS[form]
    ends = [*sorted(cuts), len(whole)]
    inflate, out = inflate_for(encoding), b""
    assert inflate is not None

    for a, b in zip([0, *ends], ends, strict=False):
        inflate.feed(whole[a:b])
        while piece := inflate.take():
            out += piece

    assert out == TEXT


def test_a_body_that_swells_comes_in_bounded_pieces() -> None:
    inflate, total = Inflate(("gzip",)), 0
    inflate.feed(packed(b"x" * 50_000_000, 31))

    while piece := inflate.take():
        assert len(piece) <= MOST_BYTES
        total += len(piece)

    assert total == 50_000_000


@pytest.mark.parametrize("header", [None, "", "identity", " Identity ,"])
def test_a_body_that_is_not_encoded_needs_nothing(header: str | None) -> None:
    assert inflate_for(header) is None


@pytest.mark.parametrize("header", ["br", "zstd", "gzip, br", "gzip, gzip"])
def test_an_encoding_that_was_not_offered_is_no_text(header: str) -> None:
    inflate = inflate_for(header)
    assert inflate is not None
    assert inflate.take() == b""

    inflate.feed(b"\x1f\x8b")
    with pytest.raises(UnknownEncoding):
        inflate.take()


def head(url: str, method: str = "POST", data: bytes | None = b"{}", **headers: str) -> str:
    return Heads(origin_of(url)).head(method, url, headers, data).decode()


def test_a_head_says_where_what_and_how_long() -> None:
    assert head("http://Cloud.example/v1/chat?api-version=1", accept="*/*") == (
        "POST /v1/chat?api-version=1 HTTP/1.1\r\nhost: cloud.example\r\n"
        "accept-encoding: gzip, deflate\r\naccept: */*\r\ncontent-length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example:443/", "a.example"),
        ("https://a.example:80/", "a.example:80"),
        ("http://[::1]:8080/", "[::1]:8080"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://straße.example/", "xn--strae-oqa.example"),
    ],
)
def test_a_host_is_named_as_the_wire_wants_it(url: str, host: str) -> None:
    assert f"\r\nhost: {host}\r\n" in head(url)


@pytest.mark.parametrize(
    ("path", "target"),
    [("", "/"), ("/a%20b/é", "/a%20b/%C3%A9"), ("/x?y=a/b&z=%2F#f", "/x?y=a/b&z=%2F")],
)
def test_a_path_is_sent_as_it_stands_but_in_ascii(path: str, target: str) -> None:
    assert head(f"http://a.example{path}").startswith(f"POST {target} HTTP/1.1\r\n")


def test_a_body_that_is_not_there_has_no_length_but_where_one_is_due() -> None:
    assert "content-length" not in head("http://a.example/", "GET", None)
    assert "content-length: 0\r\n" in head("http://a.example/", "POST", None)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nx: y", "a\r", "a\0b", "\ud83d"], ids=ascii)
def test_a_header_that_would_be_more_than_one_is_refused_before_sending(value: str) -> None:
    with pytest.raises(Refused) as caught:
        head("http://a.example/", secret=value)

    assert caught.value.unbilled
    assert value not in str(caught.value)


def test_a_call_to_another_host_is_refused() -> None:
    heads = Heads(origin_of("https://a.example/v1"))

    for url in ("http://a.example/v1", "https://b.example/v1", "https://a.example:444/v1"):
        with pytest.raises(Refused, match="another host"):
            heads.head("GET", url, {}, None)


def test_addresses_with_an_id_in_them_do_not_pile_up() -> None:
    heads = Heads(origin_of("http://a.example"))
    for number in range(1000):
        assert f"/status/{number} ".encode() in heads.head(
            "GET", f"http://a.example/status/{number}", {}, None
        )

    assert len(heads._lines) <= 64
