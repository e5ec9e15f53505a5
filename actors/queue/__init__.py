"""The queue: jobs, their attempts, hand leases, resources."""
