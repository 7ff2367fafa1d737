"""Imported before numpy: its linear algebra keeps to one thread.

The fits here are small. On a machine that has other work as well, threads that wait for each other
take twenty times as long as one alone.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
