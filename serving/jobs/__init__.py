"""Work outside the web process: jobs queued in the store, the worker that does them, the first build's steps."""

from serving.jobs.steps import Step, Steps

__all__ = ["Step", "Steps"]
