"""Diagnosis of trained recurrences: gradients by level, gates, recurrent matrices."""
