"""YAML files that people write: read once, and able to say where each field stands.

Configs, policies, scripts and price lists all come through here, so every complaint about any of
them names file, line, column, field, and the nearest word that would have been right.
"""

from .place import Key, Place, dotted, nearest, shown
from .read import MAX_BYTES, Document, parse_yaml, read_yaml, validate
from .yamltext import MAX_DEPTH, MAX_NODES, plain_scalar

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "Document",
    "Key",
    "Place",
    "dotted",
    "nearest",
    "parse_yaml",
    "plain_scalar",
    "read_yaml",
    "shown",
    "validate",
]
