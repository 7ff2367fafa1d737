"""Secrets are cut out of text, headers and log records, whole or broken off."""

from __future__ import annotations

import base64
import io
import logging

import pytest

from router.redaction import MARK, clean, guard_logs, redact, remember, remember_proxy, tells

SECRET = "redact-me-W8rT2yU5iO1p"


@pytest.fixture(autouse=True)
def known() -> None:
    remember(SECRET)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"a {SECRET} b", f"a {MARK} b"),
        (f"{SECRET}{SECRET}", f"{MARK}{MARK}"),
        (f"Incorrect key {SECRET[:15]}...", f"Incorrect key {MARK}..."),
        (f"{SECRET[:8]}", MARK),
        ("redact-m", MARK),
        ("redact- me", "redact- me"),
        ("", ""),
    ],
)
def test_a_secret_or_its_beginning_is_cut_out(text: str, left: str) -> None:
    assert redact(text) == left


def test_a_key_of_a_few_letters_is_part_of_many_words_and_cuts_none() -> None:
    remember("busy", None, "")

    assert redact("the server is busy") == "the server is busy"


@pytest.mark.parametrize(
    "form",
    [
        "abc+De/F%22gh%5cZ9==",
        "abc%2BDe%2FF%22gh%5CZ9%3D%3D",
        "abc%2bDe%2fF%22gh%5cZ9%3d%3d",
        "abc%2BDe/F%22gh%5CZ9%3D%3D",
        'abc+De\\/F\\"gh\\\\Z9==',
        "abc\\u002bDe\\u002FF\\u0022gh\\u005cZ9\\u003d\\u003D",
    ],
)
def test_a_secret_is_known_as_a_url_or_json_carries_it(form: str) -> None:
    remember('abc+De/F"gh\\Z9==')

    assert redact(f"/x?k={form}&n=1") == f"/x?k={MARK}&n=1"
    assert redact(f"{form}{form}") == f"{MARK}{MARK}"


def test_a_percent_sign_in_a_secret_may_be_one_or_stand_for_one() -> None:
    remember("percent%25sign-xyz")

    for form in ("percent%25sign-xyz", "percent%2525sign-xyz"):
        assert redact(f"a {form} b") == f"a {MARK} b"


def test_secrets_that_begin_alike_are_each_cut_to_their_own_end() -> None:
    older, newer = "eyJ0eXAi.older-payload.tail", "eyJ0eXAi.newer-payload.tail"
    remember(older)
    remember(newer)

    assert redact(f"{older}, {newer}, eyJ0eXAi.new") == f"{MARK}, {MARK}, {MARK}"


def test_a_secret_within_another_goes_with_it() -> None:
    remember(f"{SECRET}-and-more", "me-W8rT2yU")

    assert redact(f"x {SECRET}-and-more y") == f"x {MARK} y"


def test_a_proxys_credentials_are_known_in_all_their_forms() -> None:
    remember_proxy("http://user:pa%24s-word-123@proxy.example:8080")
    basic = base64.b64encode(b"user:pa$s-word-123").decode()

    for form in ("pa%24s-word-123", "pa$s-word-123", "user:pa$s-word-123", basic):
        assert form not in redact(f"Basic {form} sent")
    remember_proxy("http://proxy.example:8080")
    remember_proxy(None)
    assert redact("proxy.example") == "proxy.example"


def test_headers_without_a_secret_are_given_back_as_they_are() -> None:
    plain = {"date": "today"}

    assert clean(plain) is plain
    assert clean({"a": f"req-{SECRET}", "b": "c"}) == {"a": f"req-{MARK}", "b": "c"}


def test_an_exception_may_tell_in_its_repr_alone() -> None:
    class Quiet(Exception):
        def __str__(self) -> str:
            return "nothing"

    assert tells(Quiet(SECRET))
    assert not tells(Quiet("nothing"))


@pytest.mark.parametrize("name", ["firsthop", "httpcore2.http11", "openai._base_client", "azure.x"])
def test_no_log_record_tells_one(name: str) -> None:
    logger, said = logging.getLogger(name), io.StringIO()
    guard_logs()
    guard_logs()
    handler = logging.StreamHandler(said)
    logger.addHandler(handler)
    try:
        logger.error("sent %r with %s", [(b"www-authenticate", SECRET.encode())], "x")
        try:
            raise ValueError(f"bad {SECRET}")
        except ValueError:
            logger.exception("it failed")
        logger.error("plain %s", "words")
    finally:
        logger.removeHandler(handler)

    assert SECRET not in said.getvalue()
    assert said.getvalue().count(MARK) == 2
    assert "ValueError: bad [secret]" in said.getvalue()
    assert "plain words" in said.getvalue()
    assert [type(f).__name__ for f in logger.filters].count("_NoSecrets") == 1
