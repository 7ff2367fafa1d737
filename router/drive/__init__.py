"""The only room where the walk meets the wire."""
