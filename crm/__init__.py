"""The company's history: canonical tables, what brings them in, the lake that keeps them."""
