"""README and docs: fenced code is good code, and what people can set or meet is written down."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pydantic
import pytest

from router import config as configs
from router import errors
from router.configfile import ConfigFile
from router.document import parse_yaml
from router.errors import PolicyError, RouterError
from router.policy.build import build
from router.policy.cases import build_cases
from router.policy.caseshape import CasesDocument, DraftPart
from router.policy.document import PolicyDocument
from router.policy.predicates import Op
from router.policy.selftest import selftest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> Iterator[Any]:
    """Fenced blocks of a language, each named by its page and line."""
    for page in PAGES:
        lines = page.read_text(encoding="utf-8").splitlines()
        start: int | None = None
        for number, line in enumerate(lines):
            fence = line.strip().startswith("```")
            if fence and start is None:
                start = number
            elif fence and start is not None:
                if lines[start].strip() == f"```{language}":
                    text = textwrap.dedent("\n".join(lines[start + 1 : number]) + "\n")
                    yield pytest.param(text, id=f"{page.relative_to(ROOT).as_posix()}:{start + 1}")
                start = None
        assert start is None, f"{page}: a fence opens and never closes"


def documents(first_field: str) -> list[Any]:
    return [
        block
        for block in blocks("yaml")
        if re.match(rf"(#.*\n|\s*\n)*{first_field}:", block.values[0])
    ]


def words_of(page: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", (ROOT / page).read_text(encoding="utf-8")))


@pytest.mark.parametrize("text", list(blocks("python")))
def test_python_in_the_docs_compiles(text: str) -> None:
    compile(text, "<docs>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def on(*pages: str) -> list[Any]:
    return [b for b in blocks("python") if str(b.id).rpartition(":")[0] in pages]


@pytest.mark.parametrize("text", on("README.md", "docs/sdk.md"))
def test_python_for_a_newcomer_runs_as_it_stands(text: str, tmp_path: Path) -> None:
    """In a process and a folder of its own, on the config that needs no key and no weights."""
    assert '"scripted"' in text
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "The capital of France is Paris." in done.stdout


def settled(line: str) -> str:
    """A line of a transcript with what differs from run to run taken out."""
    line = re.sub(r"\b\d+\.\d+ s\b", "TIME", line)
    line = re.sub(r"decision \w{26}", "decision ID", line)
    return re.sub(r" +", " ", line)


def transcript() -> tuple[list[str], list[str]]:
    """The README's shell transcript: the command's words, and what it printed."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^```\n\$ firsthop (ask .*)\n((?:.*\n)*?)```$", text, re.MULTILINE)
    assert found is not None
    return shlex.split(found[1]), found[2].splitlines()


def test_the_readmes_transcript_is_what_the_command_prints() -> None:
    words, shown = transcript()
    done = subprocess.run(
        [sys.executable, "-m", "firsthop", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout
    assert [settled(x) for x in done.stdout.splitlines()] == [settled(x) for x in shown]


def test_a_newcomer_changes_one_number_and_sees_the_decision_flip(tmp_path: Path) -> None:
    """The README's section, followed to the letter."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Change one number")[1].split("\n## ")[0]
    written = re.search(r"^```yaml\n(policy: my-first\n.*?)^```", readme, re.DOTALL | re.MULTILINE)
    change = re.search(r"write `(\S+)` for `(\S+)` in the file", section)
    told = re.findall(r"^```\n\$ firsthop (.*)\n((?:.*\n)*?)```$", section, re.MULTILINE)
    assert written is not None
    assert change is not None
    assert len(told) == 2
    new, old = change.groups()
    assert written[1].count(old) == 1
    for text, (words, shown) in zip((written[1], written[1].replace(old, new)), told, strict=True):
        (tmp_path / "my-first.yaml").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "firsthop", *shlex.split(words)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout
        assert [settled(x) for x in done.stdout.splitlines()] == [
            settled(x) for x in shown.splitlines()
        ]
    assert "fails" in told[0][1]
    assert "answered by device" in told[1][1]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    paths = [x.partition("#")[0] for x in links if not re.match(r"[a-z]+:", x)]

    assert [p for p in paths if p and not (page.parent / p).exists()] == []


@pytest.mark.parametrize("text", documents("policy"))
def test_a_policy_in_the_docs_loads(text: str) -> None:
    policy = build(parse_yaml(text, "<docs>", kind=PolicyError), "0" * 12)

    assert policy.summary


def test_the_cases_in_the_docs_show_each_rule_of_the_policy_above_them() -> None:
    page = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
    of_page = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (cases,) = (text for text in of_page if "\ncases:\n" in text)
    policy = build(parse_yaml(of_page[0], "<docs>", kind=PolicyError), "0" * 12)
    report = selftest(policy, build_cases(parse_yaml(cases, "<docs>", kind=PolicyError), policy))

    assert (report.failures, report.uncovered) == ((), ())


@pytest.mark.parametrize("text", documents("version"))
def test_a_config_in_the_docs_loads(text: str, tmp_path: Path) -> None:
    path = tmp_path / "firsthop.yaml"
    path.write_text(text, encoding="utf-8")
    named = re.findall(r"\{env: (\w+)\}", text)

    config = configs.load(path, dict.fromkeys(named, "set"))

    assert config.skipped == ()


def test_there_are_policies_and_configs_to_load() -> None:
    """A change to how pages are read must not leave the tests above with nothing to do."""
    assert len(documents("policy")) >= 3
    assert len(documents("version")) >= 1
    assert len(list(blocks("python"))) >= 2


# What has to be written down


def fields_of(model: type[pydantic.BaseModel]) -> set[str]:
    """Every field's name as people write it, of every part."""
    found = {info.alias or name for name, info in model.model_fields.items()}
    waiting = [info.annotation for info in model.model_fields.values()]
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, pydantic.BaseModel):
            found |= fields_of(one)
        else:
            waiting += get_args(one)
    return found


@pytest.mark.parametrize("field", sorted(fields_of(PolicyDocument)))
def test_every_field_of_a_policy_is_documented(field: str) -> None:
    assert field in words_of("docs/policy.md")


@pytest.mark.parametrize("field", sorted(fields_of(CasesDocument) | fields_of(DraftPart)))
def test_every_field_of_a_file_of_cases_is_documented(field: str) -> None:
    page = (ROOT / "docs/policy.md").read_text(encoding="utf-8")

    assert re.search(rf"\b{field}\b", page.split("## Cases")[1].split("\n## ")[0])


@pytest.mark.parametrize("field", sorted(fields_of(ConfigFile)))
def test_every_field_of_a_config_is_documented(field: str) -> None:
    assert field in words_of("docs/config.md")


@pytest.mark.parametrize("op", get_args(Op))
def test_every_comparison_is_documented(op: str) -> None:
    assert f"`{op}`" in (ROOT / "docs/policy.md").read_text(encoding="utf-8")


TREE = [
    name
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, RouterError)
]


@pytest.mark.parametrize("name", TREE)
def test_every_error_is_documented_and_drawn_in_its_tree(name: str) -> None:
    assert name in words_of("docs/sdk.md")
    assert re.search(rf"\b{name}\b", errors.__doc__ or "")


@pytest.mark.parametrize("flag", ["uncertain", "cut", "limit:hops", "limit:deadline_s"])
def test_every_flag_is_documented(flag: str) -> None:
    assert f"`{flag}`" in (ROOT / "docs/policy.md").read_text(encoding="utf-8")
