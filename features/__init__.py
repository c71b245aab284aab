"""What was known about a deal, a rep, an account at a moment."""
