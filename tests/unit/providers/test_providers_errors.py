"""Reading errors: bodies of any shape, waits in any words, failures below HTTP."""

from __future__ import annotations

import errno
import json
import socket
import ssl

import pytest

from router.errors import BadWire, Filtered, HopError, Refused, Unavailable
from router.providers.openai_errors import http_error, stream_error
from router.providers.transport import causes, connection_error, proxy_error

NOW = 1_795_341_600.0  # Sun, 22 Nov 2026 10:00:00 GMT


def error(status: int, body: str = "", **headers: str) -> HopError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http_error(status, named, body.encode(), wall_s=NOW)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry_after": "3"}, 3.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "1", "retry_after_ms": "20"}, 0.02),
        ({"retry_after": "1", "retry_after_ms": "soon"}, 1.0),
        ({"retry_after": "Sun, 22 Nov 2026 10:01:00 GMT"}, 60.0),
        ({"retry_after": "Sun, 22 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"retry_after": "Sun, 22 Nov 2026 10:01:00 GMT", "date": "never"}, 60.0),
        (
            {
                "retry_after": "Sun, 22 Nov 2026 10:01:00 GMT",
                "date": "Sun, 22 Nov 2026 10:00:50 GMT",
            },
            10.0,
        ),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "tomorrow"}, None),
        ({"retry_after": ""}, None),
        ({"x_ratelimit_timeremaining": "41"}, 41.0),
        ({}, None),
    ],
)
def test_the_wait_is_read_from_headers(headers: dict[str, str], wait_s: float | None) -> None:
    assert error(429, **headers).retry_after_s == wait_s
    assert error(503, **headers).retry_after_s == wait_s


@pytest.mark.parametrize(
    ("words", "wait_s"),
    [
        ("Please wait 57 seconds before retrying.", 57.0),
        ("Please wait 2 minutes.", 120.0),
        ("Please retry after 7 seconds.", 7.0),
        ("Please try again in 20s.", 20.0),
        ("Please try again in 859ms.", 0.859),
        ("Please try again in 1h2m3.5s.", 3723.5),
        ("retry in 4", 4.0),
        ("Try again later.", None),
        ("5 seconds ago you were fine", None),
    ],
)
def test_the_wait_is_read_from_words(words: str, wait_s: float | None) -> None:
    found = error(429, '{"error": {"message": "' + words + '"}}').retry_after_s

    assert found == (None if wait_s is None else pytest.approx(wait_s))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 60_000,
        '{"error": null}',
        '{"error": []}',
        '{"error": {"message": {"deep": [1]}, "code": {"a": 1}, "innererror": "text"}}',
        '{"error": {"code": ' + "9" * 6000 + "}}",
        '{"detail": [{"loc": ["body"], "msg": "no"}]}',
        "{broken",
        "\ufffd" * 10,
        "<html>" + "x" * 9999,
        "plain words",
    ],
)
def test_any_body_at_all_becomes_the_error_of_its_status(body: str) -> None:
    found = error(500, body)

    assert isinstance(found, Unavailable)
    assert found.status == 500
    assert len(found.message) < 400


@pytest.mark.parametrize(
    "payload", [None, "text", [], {}, {"error": "x"}, {"error": {"code": 7}}, 3]
)
def test_any_error_in_a_stream_is_at_least_unavailable(payload: object) -> None:
    assert stream_error(payload).kind == "unavailable"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("rate_limit_exceeded", "rate_limited"),
        ("insufficient_quota", "rate_limited"),
        ("content_filter", "filtered"),
        ("context_length_exceeded", "incapable"),
        ("invalid_request_error", "refused"),
        ("authentication_error", "auth_failed"),
        ("timeout", "timed_out"),
        ("overloaded_error", "unavailable"),
    ],
)
def test_an_error_in_a_stream_is_told_by_its_words(word: str, kind: str) -> None:
    assert stream_error({"error": {"message": "m", "type": word}}).kind == kind


@pytest.mark.parametrize(
    "location", ["", "/elsewhere", "https://[bad", "https://h.example/a?key=s#s"]
)
def test_a_redirect_is_refused_and_its_query_not_repeated(location: str) -> None:
    found = error(302, location=location)

    assert isinstance(found, Refused)
    assert not found.retryable
    assert "key=s" not in found.message


def test_another_success_is_not_an_answer() -> None:
    assert isinstance(error(204), BadWire)


def raised(outer: BaseException, inner: BaseException) -> BaseException:
    """As a library wraps what the layer below raised."""
    try:
        try:
            raise inner
        except BaseException as exc:
            raise outer from exc
    except BaseException as exc:
        return exc


UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed")


@pytest.mark.parametrize(
    ("inner", "says", "retryable"),
    [
        (UNTRUSTED, "certificate of h", False),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "no TLS", True),
        (socket.gaierror(-2, "Name or service not known"), "can't be resolved", True),
        (ConnectionRefusedError(111, "refused"), "refuses connections", True),
        (OSError(101, "Network is unreachable"), "failed", True),
        (ExceptionGroup("all", [OSError(1), ConnectionRefusedError(2)]), "refuses", True),
    ],
)
def test_a_connection_that_never_was_is_unavailable_and_free(
    inner: Exception, says: str, retryable: bool
) -> None:
    found = connection_error(raised(RuntimeError("library"), inner), "h", connected=False)

    assert isinstance(found, Unavailable)
    assert says in found.message
    assert found.retryable is retryable
    assert found.unbilled


def test_a_connection_lost_before_the_answer_may_have_cost_something() -> None:
    found = connection_error(ConnectionResetError(104, "reset"), "h", connected=True)

    assert isinstance(found, Unavailable)
    assert found.retryable
    assert not found.unbilled


def test_causes_end_even_when_they_go_in_a_ring() -> None:
    one, two = ValueError("1"), ValueError("2")
    one.__context__, two.__context__ = two, one

    assert set(causes(one)) == {one, two}


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "registry.ollama.ai/library/phi:latest does not support tools", "incapable"),
        (400, "'auto' tool choice requires --enable-auto-tool-choice to be set", "incapable"),
        (500, "tools param requires --jinja flag", "incapable"),
        (500, "image input is not supported - hint: provide the mmproj", "incapable"),
        (404, "No endpoints found that support tool use.", "incapable"),
        (400, "image_url is only supported by certain models.", "incapable"),
        (400, "At most 0 image(s) may be provided in one request.", "incapable"),
        (400, "some-model is not a multimodal model", "incapable"),
        (422, "This model doesn't support response_format", "incapable"),
        (400, "'response_format' of type 'json_schema' is not supported", "incapable"),
        (400, "Invalid schema for response_format 'answer'", "refused"),
        (400, "tools[0].function.name has a wrong form", "refused"),
        (404, "The model `tools` does not exist", "gone"),
        (500, "The tools are broken", "unavailable"),
        (401, "This key does not support tools", "auth_failed"),
        (429, "Calls with images are not supported at this rate", "rate_limited"),
    ],
)
def test_a_model_that_lacks_something_is_incapable_and_not_asked_again(
    status: int, message: str, kind: str
) -> None:
    found = error(status, json.dumps({"error": {"message": message}}))

    assert found.kind == kind
    assert found.retryable is (kind in ("unavailable", "rate_limited"))


def test_a_content_filter_stays_one_whatever_its_message_says() -> None:
    body = {"error": {"code": "content_filter", "message": "Images like this are not supported"}}

    assert error(400, json.dumps(body)).kind == "filtered"


def test_a_filters_category_that_is_not_known_may_be_anything_and_is_not_named() -> None:
    verdicts = {
        "violence": {"filtered": True},
        "hate": {"filtered": False},
        "the caller's own text": {"filtered": True},
        "the_caller_s_own_text": {"filtered": True},
        "sexual": {"filtered": "true"},
        "self_harm": True,
    }
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": verdicts}
    found = error(400, json.dumps({"error": {"code": "content_filter", "innererror": inner}}))

    assert isinstance(found, Filtered)
    assert found.categories == ("other", "violence")
    assert "(other, violence)" in found.message


@pytest.mark.parametrize(
    ("told", "kind"), [("500", "unavailable"), ("400", "refused"), ("429", "rate_limited")]
)
def test_an_endpoints_424_is_what_its_model_said(told: str, kind: str) -> None:
    found = error(424, "no", ms_azureml_model_error_statuscode=told)

    assert (found.kind, found.status) == (kind, 424)
    assert error(424, "no", ms_azureml_model_error_statuscode="x").kind == "unavailable"


@pytest.mark.parametrize(
    ("inner", "no_way"),
    [
        (socket.gaierror(-3, "Temporary failure in name resolution"), True),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), True),
        (OSError(errno.EHOSTUNREACH, "No route to host"), True),
        (TimeoutError(), True),
        (ConnectionRefusedError(111, "refused"), False),
        (ConnectionResetError(104, "reset"), False),
        (ssl.SSLError(1, "wrong version number"), False),
    ],
    ids=repr,
)
def test_whether_there_was_a_way_is_read_from_the_causes(inner: OSError, no_way: bool) -> None:
    library = raised(RuntimeError("library"), inner)

    assert connection_error(library, "h", connected=False).no_way is no_way
    assert proxy_error("gone", "h", cause=library).no_way is no_way
    assert not connection_error(library, "h", connected=True).no_way
