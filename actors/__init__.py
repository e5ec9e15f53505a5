"""Who decides: four independent actors and the runtime they live in. Internal: import from `logistics`."""
