"""Executors that run a level in one Triton kernel: LSTM, GRU and Elman networks on a GPU."""

from structnet.plugins.triton import executor  # noqa: F401
