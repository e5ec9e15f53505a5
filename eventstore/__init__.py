"""What is remembered: an append-only log of typed events in LMDB. Internal: import from `logistics`."""
