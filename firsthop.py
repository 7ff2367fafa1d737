"""firsthop under its own name, whatever else in the app is called `router`.

The package lives in the folder ``router`` beside this file. Many apps have a ``router.py`` of
their own, and the first one on `sys.path` wins; so ``import firsthop`` never asks by that name
alone. If ``router`` means our package, ``firsthop`` and its submodules *are* that package, one set
of classes. If it means something else, ours is loaded under the name ``firsthop``.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_HOME = Path(__file__).resolve().parent / "router"


def _is_ours(file: str | None) -> bool:
    return file is not None and Path(file).resolve().parent == _HOME


def _router_means_ours() -> bool:
    """Whether ``import router`` gives, or would give, our package."""
    loaded = sys.modules.get("router")
    if loaded is not None:
        return _is_ours(getattr(loaded, "__file__", None))
    try:
        spec = importlib.util.find_spec("router")
    except (ImportError, ValueError):
        return False
    return spec is not None and _is_ours(spec.origin)


class _Same(importlib.abc.Loader):
    """Gives the module that is already loaded, or can be, as ``router.x`` for ``firsthop.x``."""

    def __init__(self, real: str) -> None:
        self.real = real

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.real)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own_spec  # the import system has just put its alias there

    def get_code(self, fullname: str) -> CodeType | None:  # asked by `python -m firsthop.x`
        spec = importlib.util.find_spec(self.real)
        return spec.loader.get_code(self.real) if spec and spec.loader else None  # type: ignore[attr-defined]


class _Alias(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith("firsthop."):
            return None
        real = "router." + fullname.removeprefix("firsthop.")
        spec = importlib.util.find_spec(real)
        if spec is None:
            return None
        alias = importlib.machinery.ModuleSpec(fullname, _Same(real), origin=spec.origin)
        alias.submodule_search_locations = spec.submodule_search_locations
        return alias


def _load() -> ModuleType:
    if _router_means_ours():
        module = importlib.import_module("router")
        sys.meta_path.insert(0, _Alias())
        return module
    spec = importlib.util.spec_from_file_location(
        "firsthop", _HOME / "__init__.py", submodule_search_locations=[str(_HOME)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"firsthop is not whole: {_HOME} is missing; install it again")
    module = importlib.util.module_from_spec(spec)
    sys.modules["firsthop"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.modules["firsthop"] = _load()
    importlib.import_module("firsthop.cli").main()
else:
    sys.modules[__name__] = _load()
