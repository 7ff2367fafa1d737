"""Clients of other people are collected where `make foreign` has installed them."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("FIRSTHOP_FOREIGN_PYTHON") else ["*"]
