"""Snapshots of the past, fitting, backtests, the gate and the model registry."""
