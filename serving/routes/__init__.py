"""What the API answers: one noun a file, each with `router`, found by name."""
