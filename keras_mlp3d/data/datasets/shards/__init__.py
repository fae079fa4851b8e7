"""Data sets as TFRecord shards: written once, read faster than the files."""
