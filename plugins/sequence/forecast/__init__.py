"""Forecasts of numeric series: their grid of times, windows, distributions, scores, baselines."""
