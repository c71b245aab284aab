"""Fixtures shared with other folders: a small served company, and stores on SQLite and PostgreSQL."""

from tests.serving.small_site import home, postgres, site, store

__all__ = ["home", "postgres", "site", "store"]
