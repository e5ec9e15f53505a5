"""The runtime that actors live in."""
