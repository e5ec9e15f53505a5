"""Looking at what is on record: the past, differences, reasons, proofs. Nothing here changes a store."""
