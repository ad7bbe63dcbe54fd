"""The compiled executor: a sweep over a plan as native code."""
