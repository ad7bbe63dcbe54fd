"""Freed memory is kept where the C library can; samples are made without collecting garbage."""

import gc
import subprocess
import sys

import pytest

from structnet.system.memory import uncollected

FAULTS = """
import resource, statistics, sys, torch
from structnet.system.memory import keep_memory

if sys.argv[1] == "keep" and not keep_memory():
    sys.exit(3)

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

# glibc before 2.38 can't fit an aligned block into an equal one that was freed: it takes new memory
# until the scraps between such blocks are merged, which is after seven of them.
for _ in range(12):
    faults()
# How blocks lie differs from process to process, so that one of them may not fit.
print(int(statistics.median(faults() for _ in range(9))))
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("this C library can't be told to keep memory")
    return int(done.stdout)


@pytest.mark.slow
def test_memory_that_was_freed_comes_back_without_page_faults():
    # 64 MiB are 16,384 pages, fewer where they are large.
    assert faults("keep") * 10 < faults("give back")


@pytest.mark.parametrize("enabled", [True, False])
def test_samples_are_made_without_collecting_garbage(enabled):
    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with uncollected():
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
        with pytest.raises(ValueError, match="broken"), uncollected():
            raise ValueError("broken")
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was else gc.disable)()
