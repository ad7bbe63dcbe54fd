"""Processes that are killed, that hang, and that have addresses of their own."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from commands import call
from test_together import PLUGIN, STEPS, WORDS, assert_same, torchrun

pytestmark = pytest.mark.slow
KILLS = 20
MODULE = ("-m", "structnet", *WORDS)
# Two "hosts", each a network namespace with an interface and an address.
HOSTS = {"structnet-a": ("here-a", "10.77.3.1"), "structnet-b": ("here-b", "10.77.3.2")}


def workers(launcher):
    """The processes that torchrun has started, by rank."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    found = {}
    for pid in children:
        with suppress(OSError):
            given = dict(
                line.partition("=")[::2]
                for line in Path(f"/proc/{pid}/environ").read_text().split("\0")
            )
            if "RANK" in given:
                found[int(given["RANK"])] = int(pid)
    return found


def wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_a_run_of_which_ranks_are_killed_ends_as_one_that_was_not(tmp_path, monkeypatch):
    """torchrun starts all again each time, and they go on from the last checkpoint."""
    monkeypatch.chdir(tmp_path)
    draw, steps = random.Random(0), ("trainer.max_steps=60", "trainer.max_epochs=40")
    words = (*STEPS, *steps, "trainer.save_steps=1", "task.slow=0.15", "run=killed")
    with Path("out.txt").open("w") as out:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2",
             f"--max-restarts={KILLS}", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0",
             *MODULE, *words],
            stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        last, killed = Path("killed/checkpoints/last.ckpt"), 0
        try:
            while killed < KILLS:
                before = last.stat().st_mtime_ns if last.exists() else 0
                wait_for(
                    lambda before=before: (
                        launcher.poll() is not None
                        or (last.exists() and last.stat().st_mtime_ns > before)
                    )
                )
                if launcher.poll() is not None:
                    break
                time.sleep(draw.random() / 2)
                # None while they are being started again.
                there = workers(launcher.pid)
                if len(there) == 2:
                    with suppress(ProcessLookupError):
                        os.kill(there[draw.randrange(2)], signal.SIGKILL)
                        killed += 1
            assert launcher.wait(timeout=300) == 0, Path("out.txt").read_text()
        finally:
            launcher.kill()
            launcher.wait()
    assert killed == KILLS
    assert call(*WORDS, *STEPS, *steps, "run=straight").status == 0
    assert_same("killed", "straight")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
@pytest.mark.parametrize(("rank", "number"), [(1, signal.SIGKILL), (0, signal.SIGKILL),
                                              (1, signal.SIGSTOP)])  # fmt: skip
def test_the_others_name_a_process_that_ends_or_hangs(tmp_path, monkeypatch, rank, number):
    """Started one by one, so that nothing but themselves can tell."""
    monkeypatch.chdir(tmp_path)
    words = (*MODULE, "trainer.max_epochs=90", "task.slow=0.1", "trainer.save_steps=1",
             "trainer.timeout_minutes=0.1", "run=out")  # fmt: skip
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": str(29000 + 10 * rank + number), "OMP_NUM_THREADS": "1"}  # fmt: skip
    both = [
        subprocess.Popen(
            [sys.executable, *words],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **shared, "RANK": str(one), "LOCAL_RANK": str(one)},
        )
        for one in range(2)
    ]
    try:
        wait_for(Path("out/checkpoints/last.ckpt").exists)
        both[rank].send_signal(number)
        _, said = both[1 - rank].communicate(timeout=60)
    finally:
        for one in both:
            one.kill()
            one.wait()
            one.stderr.close()
    assert both[1 - rank].returncode == 2
    named = f"process 1 of 2 (pid {both[1].pid} on " if rank else "the process that the others are"
    assert named in said and "has ended or does not answer" in said
    assert "go on with: structnet train resume=out" in said
    done = torch.load("out/checkpoints/last.ckpt", weights_only=True)["epoch"] + 2
    resumed = ("train", "resume=out", "--plugin", PLUGIN, f"trainer.max_epochs={done}")
    assert call(*resumed).status == 0


@pytest.fixture
def hosts():
    """Two network namespaces that are connected; skipped where they can't be made."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs `ip netns`, as root")
    (one, (a, _)), (two, (b, _)) = HOSTS.items()
    link = ("link", "add", a, "netns", one, "type", "veth", "peer", "name", b, "netns", two)
    made = [("netns", "add", one), ("netns", "add", two), link]
    for name, (interface, address) in HOSTS.items():
        made.append(("-n", name, "address", "add", f"{address}/24", "dev", interface))
        made += [("-n", name, "link", "set", each, "up") for each in ("lo", interface)]
    try:
        for words in made:
            if subprocess.run(["ip", *words], capture_output=True).returncode:
                pytest.skip(f"`ip {' '.join(words)}` fails here")
        yield
    finally:
        for name in HOSTS:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def test_two_hosts_are_one_process(tmp_path, monkeypatch, hosts):
    monkeypatch.chdir(tmp_path)
    both = []
    for number, (name, (interface, address)) in enumerate(HOSTS.items()):
        launched = [
            "ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run",
            "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d",
            f"--rdzv-endpoint={HOSTS['structnet-a'][1]}:29400",
            f"--rdzv-conf=is_host={int(number == 0)}", f"--local-addr={address}",
            *MODULE, "trainer.lanes=3", "run=hosts",
        ]  # fmt: skip
        environment = {"GLOO_SOCKET_IFNAME": interface, "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        both.append(subprocess.Popen(launched, env={**os.environ, **environment}, **pipes))
    said = [one.communicate(timeout=200)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert "shared by 2 processes on 2 machines" in said[0] + said[1]
    assert call(*WORDS, "trainer.lanes=3", "run=alone").status == 0
    assert_same("hosts", "alone")


def test_a_run_goes_from_two_processes_to_one_and_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    resume = ("train", "resume=out", "--plugin", PLUGIN)
    launch = ("-m", "structnet")
    first = torchrun(*launch, *WORDS, *STEPS, "trainer.max_steps=4", "run=out", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert call(*resume, "trainer.max_steps=8").status == 0
    last = torchrun(*launch, *resume, "trainer.max_steps=12", cwd=tmp_path)
    assert last.returncode == 0, last.stderr
    assert call(*WORDS, *STEPS, "trainer.max_steps=12", "run=straight").status == 0
    assert_same("out", "straight")
