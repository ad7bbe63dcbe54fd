"""Agents that remember by any cell, in other libraries: sb3 (sb3-contrib) and torchrl."""
