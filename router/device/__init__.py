"""The model's own house: an engine in a worker process, and our end of the line to it."""
