"""The commands of `python -m sklearn_capoz`, thin over the public API."""
