"""From a folder, a table or shards to the rows of a manifest."""
