"""The deterministic simulator: the same actors, one thread, a seed that orders everything."""
