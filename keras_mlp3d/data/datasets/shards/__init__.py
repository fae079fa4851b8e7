"""Data sets as TFRecord shards, which are read faster than single files."""
