"""Labelled drafts to a calibration: where labels come from, what is certified, what is refused."""
