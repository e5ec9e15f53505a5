"""Following the durable log: subscriptions that remember, projections, adapters. None of it slows the writer."""
