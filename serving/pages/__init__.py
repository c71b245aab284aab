"""The pages: one module a page, each with a `router`; modules without one hold what pages share."""
