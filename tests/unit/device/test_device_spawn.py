"""What a worker is started with."""

from __future__ import annotations

import sys

import pytest

from router.device.spawn import _environment

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="large pages are asked for on Linux alone"
)


def test_a_worker_asks_for_large_pages(monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)

    assert _environment()["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"


def test_other_settings_of_the_c_library_stay(monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")

    assert _environment()["GLIBC_TUNABLES"] == "glibc.malloc.check=1:glibc.malloc.hugetlb=1"


def test_who_has_chosen_about_large_pages_has_chosen(monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")

    assert _environment()["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=0"
