"""The workflow supervisor: definitions, runs, steps, sessions, projects."""
