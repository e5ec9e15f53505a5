"""Orchestration: the engine, workflows, sessions, projects, resources."""
