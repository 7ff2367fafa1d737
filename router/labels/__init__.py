"""Labelled answers as they lie in a file: one reader for all who take such a file."""
