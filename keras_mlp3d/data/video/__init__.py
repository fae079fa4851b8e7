"""From a file to the right frames: opening, indexing, decoding, sampling, conversion to clips."""
