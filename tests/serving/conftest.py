"""Fixtures shared with other folders: small served companies, and stores on SQLite and PostgreSQL."""

from tests.serving.live_site import live_home, live_site
from tests.serving.small_site import home, postgres, site, store

__all__ = ["home", "live_home", "live_site", "postgres", "site", "store"]
