"""Tasks: queues, jobs, and who processes them."""
