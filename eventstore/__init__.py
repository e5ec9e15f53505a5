"""An append-only, checksummed, hash-chained log of typed events; it has never heard of a job."""
