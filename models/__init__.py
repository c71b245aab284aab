"""Estimators: win, attainment, churn; their calibration, reasons and advice."""
