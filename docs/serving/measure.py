"""How long answers take by each way of batching, at three loads: the table of docs/serving.md.

    python docs/serving/measure.py run=DIR records=FILE [seconds=20] [rounds=2] [small=BYTES]
        [ways=WAY,WAY] [loads=0.3,0.6,0.9] [out=FILE.json]

Needs `pip install locust`. FILE has a record in JSON on every line. The server has the first core,
Locust the second. First every way is loaded by 64 users without a pause, for its throughput; then
with 30, 60 and 90 % of the largest of these, as requests at random times. Ways take turns: one,
window, no window and continuous. With `small=BYTES`, the times of
requests of at most that size are shown apart from those of larger ones.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
WAYS = {
    "one": ["batching=one"],
    "window": ["batching=window", "wait_ms=5"],
    "no window": ["batching=window", "wait_ms=0"],
    "continuous": ["batching=continuous"],
}
LOADS = "0.3,0.6,0.9"
USERS, WARM_S = 64, 4


@contextlib.contextmanager
def server(run, words):
    """The address of a server on the first core."""
    command = [sys.executable, "-m", "structnet", "serve", f"run={run}", "port=0", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        ["taskset", "-c", "0", *command], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            address = ""
            for line in process.stdout:
                if line.startswith("listening on "):
                    address = line.split()[2].rstrip(",")
                    break
            if not address:
                raise SystemExit(f"structnet serve {' '.join(words)} did not start, see above")
            yield address
        finally:
            process.send_signal(signal.SIGTERM)


def load(address, records, seconds, rate=0.0):
    """Requests a second, the seconds of answers, the bytes of requests, how many of them failed."""
    users = USERS if not rate else 4 * USERS
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "times.json")
        words = ["--headless", "--only-summary", "--exit-code-on-error", 0,
                 "--loglevel", "ERROR", "--host", address,
                 "-u", users, "-r", users, "-t", f"{seconds + WARM_S}s", "--rate", rate,
                 "--warm", WARM_S, "--records", records, "--times", file]  # fmt: skip
        command = [sys.executable, "-m", "locust", "-f", HERE / "load.py", *words]
        subprocess.run(
            ["taskset", "-c", "1", *map(str, command)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        found = json.loads(file.read_text())
    times, sizes = np.array(found["seconds"]), np.array(found["bytes"])
    return len(times) / (found["ended"] - found["began"]), times, sizes, found["failed"]


def figures(address):
    """The figures of a server by name."""
    with urllib.request.urlopen(f"{address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def costs(before, after):
    """Milliseconds of the server's CPU for a request, and the nodes of a turn or pass."""
    took = {name: after[name] - before.get(name, 0.0) for name in after}
    answered = max(took["structnet_request_seconds_count"], 1)
    calls = max(took["structnet_call_nodes_count"], 1)
    cpu_ms = 1000 * took["process_cpu_seconds_total"] / answered
    return cpu_ms, took["structnet_call_nodes_sum"] / calls


def measured(way, address, given, rate=0.0):
    """A row: requests a second, p50 and p99 in ms, CPU ms of a request, nodes a call, failures.

    p50 and p99 of small requests and of others follow, where `given` says what is small.
    """
    before = figures(address)
    seconds = int(given.get("seconds", 20))
    achieved, times, sizes, failed = load(address, given["records"], seconds, rate)
    p50, p99 = 1000 * np.percentile(times, [50, 99])
    row = [achieved, p50, p99, *costs(before, figures(address)), failed]
    at = f"{rate:.1f}/s" if rate else "the most"
    cost = f"CPU {row[3]:.2f} ms a request, {row[4]:.0f} nodes a call, {failed} failed"
    print(
        f"{way} at {at}: {achieved:.1f}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, {cost}", flush=True
    )
    if "small" in given:
        is_small = sizes <= int(given["small"])
        for name, some in {"small": times[is_small], "others": times[~is_small]}.items():
            p50, p99 = 1000 * np.percentile(some, [50, 99])
            row += [p50, p99]
            print(f"  {name}: {len(some)}, p50 {p50:.0f} ms, p99 {p99:.0f} ms", flush=True)
    return [float(value) for value in row]


def main():
    given = dict(word.split("=", 1) for word in sys.argv[1:])
    rounds = int(given.get("rounds", 2))
    ways = given["ways"].split(",") if "ways" in given else list(WAYS)
    found = {way: {"most": [], "loads": {}} for way in ways}
    with contextlib.ExitStack() as stack:
        # All are started at first: one that waits takes no time from the others.
        servers = {way: stack.enter_context(server(given["run"], WAYS[way])) for way in ways}
        for way, address in [*servers.items()] * rounds:
            found[way]["most"].append(measured(way, address, given))
        best = max(np.mean([row[0] for row in one["most"]]) for one in found.values())
        for share in map(float, given.get("loads", LOADS).split(",")):
            for way, address in [*servers.items()] * rounds:
                row = measured(way, address, given, share * best)
                found[way]["loads"].setdefault(str(share), []).append(row)
    if "out" in given:
        Path(given["out"]).write_text(json.dumps({"best": best, "found": found}, indent=1))


if __name__ == "__main__":
    main()
