"""Work outside the web process: a queue of jobs in the store, the worker that does them, and the first build's steps."""

from serving.jobs.steps import Jobs, Step

__all__ = ["Jobs", "Step"]
