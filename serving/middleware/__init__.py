"""What every request passes before its route: its number and log line, the guard, answers kept for repeated writes."""
