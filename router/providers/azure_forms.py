"""The forms in which Azure serves chat completions: which one an address is of, and its habits.

Comes in: a target as configured. Goes out: a `Form`, with the address and route to call, how the
service speaks there, and the scope of its Entra tokens. Touches no network.

Sources: the addresses, headers, scopes and versions are of Microsoft's documents and of the
published client `azure-ai-inference` 1.0.0b9. Not tried against a live service: from which version
on a versioned deployment takes `max_completion_tokens` and `stream_options` (2024-09-01 is held for
it), and what a managed online endpoint makes of `stream_options`. Options say otherwise.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, get_args
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from ..document import nearest
from ..errors import ConfigError
from .base import Dialect, Target
from .endpoint import CHAT_ROUTE

Name = Literal["v1", "deployments", "online", "inference"]

OPTIONS = ("api_version", "deployment", "dialect")
"""The options that are read here."""

EXAMPLE = "https://my-resource.openai.azure.com/openai/v1/"
EXAMPLE_VERSION = "2024-10-21"
INFERENCE_VERSION = "2024-05-01-preview"
INFERENCE_ENDED = "2026-08-26"
_INSTEAD = "the resource's /openai/v1 address"

_NEWER_FIELDS = "2024-09-01"
_SERVICE = re.compile(
    r"\.(openai|cognitiveservices|services\.ai|models\.ai|inference\.ml)\.azure\.(?:com|us|cn)\Z"
)
_NATIONAL = re.compile(r"\.azure\.(us|cn)\Z")
_RESOURCE_PATH = re.compile(
    r"|/models|(/api/projects/[^/]+)?/openai/v1|/openai/deployments/[^/]+", re.I
)
"""Below which paths a resource serves chat completions."""
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?|preview|latest")
_SCOPES: dict[Name, str] = {
    "v1": "https://ai.azure.com/.default",
    "deployments": "https://cognitiveservices.azure.com/.default",
    "online": "https://ml.azure.com/.default",
    "inference": "https://ml.azure.com/.default",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one target is called.

    Attributes:
        base_url: The address without the route; as configured where there is none to add.
        route: What follows it, a query included.
        dialect: How the service speaks there.
        scope: What an Entra token has to be good for, in the public cloud.
        api_version: As it stands in the query. None: there is none.
        list_url: Where its list of models lies. None: this form has none.
    """

    name: Name
    base_url: str | None
    route: str
    dialect: Dialect
    scope: str
    api_version: str | None
    list_url: str | None


def find_form(target: Target, dialect: Dialect) -> Form:
    """The form of `target`: as its `dialect` says, else as its address looks.

    The address may be written as a portal shows it: bare, with ``/chat/completions`` at its end,
    and with its ``api-version``.

    Raises: ConfigError.
    """
    url, version = _address(target)
    name = _name(target, url, version)
    _check_scope(target, url)
    path = url.path.rstrip("/").removesuffix(CHAT_ROUTE)
    route, headers = CHAT_ROUTE, {}
    if name == "v1":
        path = path or "/openai/v1"
        if version and version[0].isdigit():
            raise ConfigError(
                f"is {version}, and OpenAI v1 has no dated versions",
                field=_field(target, "api_version"),
                hint=f"write {EXAMPLE} without one",
            )
    elif name == "deployments":
        version = _needed(target, version)
        if path.lower() in ("", "/openai"):
            path = f"/openai/deployments/{quote(target.model, safe='')}"
        newer = not version[0].isdigit() or version >= _NEWER_FIELDS
        dialect = replace(
            dialect,
            cap_field="max_completion_tokens" if newer else "max_tokens",
            usage_in_stream=newer,
        )
    elif name == "online":
        route = _online_route(target, path)
        dialect = replace(dialect, key_headers=("authorization",), cap_field="max_tokens")
    else:
        version = version or INFERENCE_VERSION
        if not path and _service(url) == "services.ai":
            path = "/models"
        headers["extra-parameters"] = "pass-through"  # for what its own schema doesn't list
        dialect = replace(dialect, key_headers=("authorization", "api-key"), cap_field="max_tokens")
        if path.lower().endswith("/models"):
            dialect = replace(dialect, retired=INFERENCE_ENDED, successors=_INSTEAD)
    deployment = _deployment(target, name)
    if deployment:
        headers["azureml-model-deployment"] = deployment
    query = f"?{urlencode({'api-version': version})}" if version else ""
    listed_under = _listed_under(name, path, route)
    return Form(
        name=name,
        base_url=url._replace(path=path).geturl() if target.base_url else None,
        route=route + query,
        dialect=replace(dialect, headers={**dialect.headers, **headers}),
        scope=_SCOPES[name],
        api_version=version,
        list_url=None
        if listed_under is None
        else url._replace(path=f"{listed_under}/models").geturl() + query,
    )


def _address(target: Target) -> tuple[SplitResult, str | None]:
    """The address without an ``api-version``, and that version: the option's, or the address's."""
    url = None
    with suppress(ValueError):  # what Python says of it may quote a password
        url = urlsplit(target.base_url or "")
    if url is None:
        raise ConfigError(
            "is not a URL; in a password %-encode what is no letter", field=_field(target, None)
        )
    version = target.options.get("api_version")
    if version is not None and not (isinstance(version, str) and _VERSION.fullmatch(version)):
        raise ConfigError(
            f"is no API version: {version}",
            field=_field(target, "api_version"),
            hint='such as "2024-10-21", in quotes',
        )
    query = parse_qsl(url.query)
    if [key for key, _ in query] == ["api-version"]:
        url = url._replace(query="")
        if version is not None and version != query[0][1]:
            raise ConfigError(
                f"is {version}, and the address says {query[0][1]}",
                field=_field(target, "api_version"),
                hint="write it once",
            )
        version = query[0][1]
    return url, version


def _name(target: Target, url: SplitResult, version: str | None) -> Name:
    given = target.options.get("dialect")
    known = get_args(Name)
    if given is not None:
        if given not in known:
            raise ConfigError(
                f"Azure has no dialect {given!r}",
                field=_field(target, "dialect"),
                hint=nearest(str(given), known),
            )
        name: Name = given
        return name
    service, path = _service(url), url.path.rstrip("/").removesuffix(CHAT_ROUTE)
    if service == "inference.ml":
        return "online"
    if service == "models.ai":
        return "inference"
    if service is not None:
        _check_path(target, url, path, version)
    path = path.lower()
    if path.endswith("/models"):
        return "inference"
    if "/deployments/" in path or (version and not path.endswith("/v1")):
        return "deployments"
    return "v1"


def _host(url: SplitResult) -> str:
    return (url.hostname or "").rstrip(".")


def _service(url: SplitResult) -> str | None:
    """Which of Azure's services the host is one of. None: of none that is known."""
    found = _SERVICE.search(_host(url))
    return None if found is None else found[1]


def _check_path(target: Target, url: SplitResult, path: str, version: str | None) -> None:
    """Raises: ConfigError for a path of a resource that has no chat completions below it."""
    dated = version is not None and version[0].isdigit()
    if _RESOURCE_PATH.fullmatch(path) or (dated and path.lower() == "/openai"):
        return
    right = f"https://{_host(url)}/openai/v1/"
    if dated or "/deployments" in path.lower():
        right = f"https://{_host(url)}/openai/deployments/{quote(target.model, safe='')}"
        right += f"?api-version={version or EXAMPLE_VERSION}"
    raise ConfigError(
        "is an address of Azure's that has no chat completions",
        field=_field(target, None),
        hint=f"write {right}; with the option `dialect` it is taken as it stands",
    )


def _check_scope(target: Target, url: SplitResult) -> None:
    """Raises: ConfigError for Entra in a national cloud when its scope isn't given."""
    if target.options.get("auth") != "entra" or "scope" in target.options:
        return
    if _NATIONAL.search(_host(url)):
        raise ConfigError(
            "is needed for Entra in a national cloud, whose scopes are not the public one's",
            field=_field(target, "scope"),
            hint="its documents have it; it ends with /.default",
        )


def _needed(target: Target, version: str | None) -> str:
    if version is None:
        raise ConfigError(
            "is needed at an address of the versioned API",
            field=_field(target, "api_version"),
            hint=f'such as "{EXAMPLE_VERSION}"; or use {EXAMPLE}, which has no versions',
        )
    return version


def _online_route(target: Target, path: str) -> str:
    """A scoring script is called at its own path; a model server below its own."""
    if not path:
        raise ConfigError(
            "says nothing of the path",
            field=_field(target, None),
            hint="end it with /score for a scoring script, with /v1 for a model server",
        )
    return "" if path.endswith("/score") else CHAT_ROUTE


def _listed_under(name: Name, path: str, route: str) -> str | None:
    """Under which path ``/models`` is a list. None: there is none that is known of.

    A versioned deployment's resource has one above all deployments. A scoring script has none, nor
    has the AI Inference API.
    """
    if name == "deployments":
        resource, found, _ = path.rpartition("/deployments/")
        return resource if found else None
    return path if name == "v1" or (name == "online" and route) else None


def _deployment(target: Target, name: Name) -> str | None:
    given = target.options.get("deployment")
    if given is None:
        return None
    where = _field(target, "deployment")
    if name not in ("online", "inference"):
        raise ConfigError("is for endpoints; here `model` names the deployment", field=where)
    if not isinstance(given, str) or not re.fullmatch(r"[A-Za-z0-9._-]+", given):
        raise ConfigError("has to be the name of a deployment of the endpoint", field=where)
    return given


def _field(target: Target, option: str | None) -> str:
    return f"targets.{target.name}.{'base_url' if option is None else f'options.{option}'}"
