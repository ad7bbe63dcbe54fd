"""Serving a run over HTTP: answers, refusals, overload, sessions and the end."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from commands import ROOT, SMALL, call, opened, refused, trained
from serving import ask, serving, trained_on_phrases
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import structnet as sn
from structnet.data.batch import Origin
from structnet.serving.cut import cut_batch
from structnet.serving.methods import METHODS, ContinuousBatching
from structnet.serving.requests import refuse_endless
from structnet.serving.work import Refused, Work
from structnet.training.predict import predict_texts

TEXTS = ["a good film", "dull", "very bad plot a film", "bright", "good good bad dull a very film"]


@cache
def predicted(directory, *texts):
    """What `structnet predict --json` gives."""
    run = opened(directory)
    origins = [Origin("request", n, text) for n, text in enumerate(texts, start=1)]
    return [one.as_dict() for one in predict_texts(run, run.load_net(), origins)]


def assert_alike(found, expected):
    """Equal, but for the last digits of numbers."""
    assert json.dumps(found, sort_keys=True) is not None and len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key, value in other.items():
            if isinstance(value, dict | float):
                assert one[key] == pytest.approx(value, abs=2e-6)
            else:
                assert one[key] == value, key


@pytest.mark.parametrize("batching", METHODS)
def test_answers_are_what_predict_gives_however_requests_are_batched(batching):
    directory = trained_on_phrases("chain")
    with serving(directory, batching) as (_, port), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda text: ask(port, {"text": text}), TEXTS * 4))
        expected = predicted(directory, *TEXTS)
        for one, (status, found, _) in zip(expected * 4, answers, strict=True):
            assert status == 200
            assert_alike(found, [one | {"line": 1}])
        status, found, _ = ask(port, [{"text": text} for text in TEXTS])
        assert status == 200
        assert_alike(found, expected)
        assert ask(port, [])[:2] == (200, [])


def test_trees_are_answered_with_what_is_drawn_of_them():
    directory = trained_on_phrases("tree")
    texts = ["( a ( good film ) )", "( ( ( very bad ) plot ) dull )"]
    with serving(directory, "continuous") as (service, port):
        assert service.batching == "continuous" and service.why is None
        status, found, _ = ask(port, [{"text": text} for text in texts])
    assert status == 200 and [one["leaves"] for one in found] == [
        one["leaves"] for one in predicted(directory, *texts)
    ]


class Arriving:
    """A queue whose requests come at given turns."""

    nodes = 10**6

    def __init__(self, *turns):
        self.turns = list(turns)

    def take(self, room, **_):
        return self.turns.pop(0) if self.turns else []


def test_words_are_weighed_where_requests_of_different_times_leave_together():
    directory = trained_on_phrases("chain", "readout=attention")
    run, texts = opened(directory), ["a good film", "dull plot"]
    net = run.load_net().eval()
    places = [Origin("request", n, text) for n, text in enumerate(texts, start=1)]
    samples = [run.task.read_text(place, run.topology) for place in places]
    samples = [replace(one, origin=at) for one, at in zip(samples, places, strict=True)]
    first, second = (Work([sample], lambda work: None) for sample in samples)
    ContinuousBatching(run, net, 100, lambda nodes: None).serve(Arriving([first], [second]))
    found = [work.found[0][0].as_dict() for work in (first, second)]
    assert [len(one["words"]) for one in found] == [3, 2]
    for one, other in zip(found, predicted(directory, *texts), strict=True):
        weights = [[word["weight"] for word in of["words"]] for of in (one, other)]
        assert weights[0] == pytest.approx(weights[1], abs=2e-6)


BAD = [
    (b"{", 400, "line 1, column 2"),
    (b"\xff", 400, "byte 0"),
    (b'{"text": NaN}', 400, "NaN"),
    (b"[" * 3_000, 400, "no JSON"),
    (b"", 400, "no JSON"),
    (b'"text"', 422, "a record is an object, got str"),
    (b'[{"text": "a"}, 3]', 422, "a record is an object, got int"),
    (b'[{"text": "a"}, {"txt": "a"}]', 422, "request, line 2: expected"),
    (b'{"text": 3}', 422, "request, line 1: expected"),
    (b'{"text": "' + b"a " * 600 + b'"}', 413, "600 nodes, taken are 500"),
    (b" " * 5000, 413, "more than 4000 bytes"),
]


def test_a_bad_request_is_refused_with_its_place_and_spoils_no_other():
    limits = {"nodes": 500, "body": 4000}
    with (
        serving(trained_on_phrases("chain"), **limits) as (_, port),
        ThreadPoolExecutor(8) as pool,
    ):
        good = [pool.submit(ask, port, {"text": text}) for text in TEXTS]
        bad = [pool.submit(ask, port, body) for body, _, _ in BAD]
        found = [one.result() for one in bad]
        assert [one.result()[0] for one in good] == [200] * len(TEXTS)
    for (status, answer, _), (body, wanted, place) in zip(found, BAD, strict=True):
        assert (status, place in answer["detail"]) == (wanted, True), (body[:40], answer)
    assert found[7][1]["record"] == 2


def broken_record(service):
    """Records `{"text": "broken"}` become samples whose structure does not fit them."""
    read = service.run.task.read_record

    def read_record(record, place, topology):
        sample = read(record, place, topology)
        return replace(sample, structure=7) if record["text"] == "broken" else sample

    service.run.task.read_record = read_record


@pytest.mark.parametrize("batching", METHODS)
def test_a_record_that_does_not_fit_its_structure_fails_alone(batching):
    with serving(trained_on_phrases("chain"), batching, broken_record) as (_, port):
        bodies = [[{"text": "good"}, {"text": "broken"}], *({"text": text} for text in TEXTS)]
        with ThreadPoolExecutor(6) as pool:
            (status, answer, _), *others = pool.map(lambda body: ask(port, body), bodies)
        assert (status, answer["record"]) == (422, 2) and "structure has 7" in answer["detail"]
        assert [one[0] for one in others] == [200] * len(TEXTS)


@pytest.mark.parametrize("batching", METHODS)
def test_a_mistake_of_the_net_is_a_500_and_the_server_goes_on(batching, capfd):
    fails = threading.Event()

    def change(service):
        def fail(cell, given):
            if fails.is_set():
                raise RuntimeError("out of luck")

        service.net.layers[0].cells[0].register_forward_pre_hook(fail)

    with serving(trained_on_phrases("chain"), batching, change) as (_, port):
        fails.set()
        status, answer, _ = ask(port, {"text": "good"})
        assert status == 500 and "RuntimeError" in answer["detail"]
        fails.clear()
        assert ask(port, {"text": "good"})[0] == 200
    assert "out of luck" in capfd.readouterr().err


def held(gate):
    """Lets the net begin a call only while the gate is open."""

    def change(service):
        cell = service.net.layers[0].cells[0]
        cell.register_forward_pre_hook(lambda cell, given: gate.wait(60) and None)

    return change


@pytest.mark.parametrize("batching", METHODS)
def test_too_much_gets_429_and_the_server_recovers(batching):
    gate = threading.Event()
    limits = {"queue": 6, "batch_nodes": 3}
    directory = trained_on_phrases("chain")
    with (
        serving(directory, batching, held(gate), **limits) as (service, port),
        ThreadPoolExecutor(8) as pool,
    ):
        first = pool.submit(ask, port, {"text": "a good film"})
        wait_until(lambda: service.open == 1 and not len(service.queue))
        waiting = [pool.submit(ask, port, {"text": "a good film"}) for _ in range(2)]
        wait_until(lambda: service.queue.nodes == 6)
        status, answer, headers = ask(port, {"text": "dull"})
        assert status == 429 and "waiting" in answer["detail"]
        assert int(headers["retry-after"]) >= 1
        gate.set()
        assert [one.result()[0] for one in (first, *waiting)] == [200] * 3
        assert ask(port, {"text": "dull"})[0] == 200
        _, figures, _ = ask(port, None, "/metrics", "GET")
        assert 'structnet_requests_total{status="429"} 1.0' in figures
        assert "structnet_waiting_nodes 0.0" in figures


def wait_until(holds, seconds=30):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_while_it_drains_new_requests_get_503_and_accepted_ones_an_answer():
    gate = threading.Event()
    with (
        serving(trained_on_phrases("chain"), change=held(gate)) as (service, port),
        ThreadPoolExecutor(2) as pool,
    ):
        accepted = pool.submit(ask, port, {"text": "a good film"})
        wait_until(lambda: service.open == 1)
        service.draining = True
        status, _, headers = ask(port, {"text": "dull"})
        assert status == 503 and "retry-after" in headers
        gate.set()
        assert accepted.result()[0] == 200


def started(directory, *words):
    """`structnet serve` in a process of its own, and its port."""
    command = [sys.executable, "-m", "structnet", "serve", f"run={directory}", "port=0", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("listening on "):
            return process, int(line.split(",")[0].rsplit(":", 1)[1]), said
    raise AssertionError(process.communicate()[1])


def test_sigterm_finishes_what_is_accepted_and_ends():
    process, port, said = started(
        trained_on_phrases("chain"), "batching=one", "drain_s=200", "nodes=1000000", "queue=9000000"
    )
    try:
        long = [{"text": "good film " * 3000}] * 20
        waiting = 0

        def some_wait():
            nonlocal waiting
            figures = ask(port, None, "/metrics", "GET")[1]
            waiting = float(re.search(r"waiting_requests ([\d.]+)", figures)[1])
            return waiting >= 2

        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(ask, port, long) for _ in range(4)]
            wait_until(some_wait)
            process.send_signal(signal.SIGTERM)
            statuses = [one.result()[0] for one in asked]
        assert process.wait(60) == 128 + signal.SIGTERM
        _, err = process.communicate()
        # All that had been accepted are answered; what came later is not.
        assert statuses.count(200) >= waiting and set(statuses) <= {200, 503}
        assert err == "stopped\n", err
        assert "batching: one\n" in said
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_a_session_gives_what_the_whole_text_gives():
    directory = trained_on_phrases("chain")
    (expected,) = predicted(directory, "a good film")
    with (
        serving(directory, sessions=2) as (service, port),
        connect(f"ws://127.0.0.1:{port}/stream") as one,
        connect(f"ws://127.0.0.1:{port}/stream") as other,
    ):
        for word in ("a", "good"):
            tell(one, {"text": word})
        tell(other, {"text": "bad"})
        # The state stays as it was.
        assert "expected" in tell(one, {"txt": 3})["detail"]
        assert "no JSON" in tell(one, b"{".decode(), raw=True)["detail"]
        assert "one record" in tell(one, [])["detail"]
        found = tell(one, {"text": "film"})
        assert (found["step"], found["class"]) == (3, expected["class"])
        assert found["probability"] == pytest.approx(expected["probability"], abs=2e-6)
        with connect(f"ws://127.0.0.1:{port}/stream") as third:
            assert "2 sessions are open" in json.loads(third.recv())["detail"]
            assert closed(third) == 1013
        assert service.sessions.open == 2
    assert service.sessions.open == 0


def tell(socket, message, raw=False):
    socket.send(message if raw else json.dumps(message))
    return json.loads(socket.recv(timeout=30))


def closed(socket):
    """The code by which the server closes a session."""
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=30)
    return caught.value.rcvd.code


def test_a_session_without_messages_ends():
    with serving(trained_on_phrases("chain"), idle_s=1) as (service, port):
        with connect(f"ws://127.0.0.1:{port}/stream") as socket:
            assert "no message came for 1 s" in json.loads(socket.recv(timeout=30))["detail"]
            assert closed(socket) == 1001
        wait_until(lambda: service.sessions.open == 0)


@pytest.mark.parametrize("topology", ["bichain", "tree"])
def test_models_of_whole_samples_open_no_session(topology):
    with serving(trained_on_phrases(topology)) as (_, port):
        with connect(f"ws://127.0.0.1:{port}/stream") as socket:
            reason = json.loads(socket.recv(timeout=30))["detail"]
            assert f"topology '{topology}'" in reason and "step by step" in reason
            assert closed(socket) == 1008
        assert ask(port, None, "/health", "GET")[1]["stream"] is False


def test_a_session_of_own_sequences_is_fed_a_step_at_a_time(tmp_path):
    steps = [
        {"id": str(at // 4), "step": at % 4, "pulse": (at * 7) % 5, "drug": "abc"[at % 3],
         "label": "xy"[at % 2]}
        for at in range(80)
    ]  # fmt: skip
    table = tmp_path / "steps.jsonl"
    table.write_text("".join(json.dumps(one) + "\n" for one in steps))
    run = tmp_path / "run"
    words = ("task=sequences", f"task.root={table}", "task.steps=true", f"run={run}")
    status, _, err = call("train", *words, *SMALL, "trainer.max_epochs=1")
    assert status == 0, err
    given = [{name: one[name] for name in ("step", "pulse", "drug")} for one in steps[:4]]
    with serving(run) as (service, port), connect(f"ws://127.0.0.1:{port}/stream") as socket:
        whole = ask(port, {"steps": given})[1]
        for step, expected in zip(given, whole, strict=True):
            found = tell(socket, {"steps": [step]})
            assert found["class"] == expected["class"]
            assert found["probability"] == pytest.approx(expected["probability"], abs=2e-6)
        # What a state holds that is no number stays in it.
        with torch.no_grad():
            next(service.net.parameters()).fill_(float("nan"))
        assert "step 5 gave no number" in tell(socket, {"steps": [given[0]]})["detail"]
        assert closed(socket) == 1008


def test_forecasts_are_in_the_scale_of_their_own_series_however_they_are_batched(tmp_path):
    days = [f"2024-01-{1 + at:02}" for at in range(30)]
    shops = {"small": 1, "large": 1000}
    lines = ["shop,day,sales", *(f"{name},{day},{size * (at % 7)}" for name, size in shops.items()
                                 for at, day in enumerate(days))]  # fmt: skip
    (tmp_path / "sales.csv").write_text("\n".join(lines))
    run = tmp_path / "run"
    words = ("task=forecast", f"task.root={tmp_path / 'sales.csv'}", "task.horizon=3")
    status, _, err = call("train", *words, f"run={run}", *SMALL, "trainer.max_epochs=1")
    assert status == 0, err
    records = [
        {"rows": [{"shop": name, "day": day, "sales": shops[name] * (at % 7)}
                  for at, day in enumerate(days[:length])]}
        for name, length in (("small", 30), ("large", 5), ("large", 21), ("small", 2))
    ]  # fmt: skip
    said = {}
    for batching in METHODS:
        with serving(run, batching) as (service, port), ThreadPoolExecutor(4) as pool:
            assert service.batching == batching
            together = ask(port, records)[1]
            apart = [one for _, found, _ in pool.map(lambda one: ask(port, one), records)
                     for one in found]  # fmt: skip
        said[batching] = [[one["values"]["sales"] for one in some] for some in (together, apart)]
    assert len(said["one"][0]) == 4 * 3
    for found in said.values():
        for values in found:
            assert values == pytest.approx(said["one"][0], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([1, 2, 3], [1, 3]),
        ([[1, 2], [3, 4, 5], [6]], [1, 2, 6]),
        ([[[1, 1], [2, 2]], [[3, 3]] * 3, [[6, 6]]], [[1, 1], [2, 2], [6, 6]]),
        # As many for neither nodes nor samples.
        ([[1], [2, 3], [4, 5]], [0, 0]),
        ([[], [], []], [0, 0]),
    ],
)
def test_a_cut_batch_has_the_targets_of_its_samples(targets, expected):
    samples = [
        sn.Sample(size, np.zeros((size, 1), np.float32), y if type(y) is int else np.array(y))
        for size, y in zip((2, 3, 1), targets, strict=True)
    ]
    batch = sn.collate(samples, sn.topologies.create("chain"))
    assert cut_batch(batch, np.array([0, 2])).y.tolist() == expected


def test_records_that_do_not_follow_each_other_open_no_session(tmp_path):
    lines = ["id,time,pulse,label"]
    lines += [f"{at // 3},{at * at},{at % 5},{'xy'[at % 2]}" for at in range(60)]
    (tmp_path / "steps.csv").write_text("\n".join(lines))
    run = tmp_path / "run"
    words = ("task=sequences", f"task.root={tmp_path / 'steps.csv'}", f"run={run}")
    status, _, err = call("train", *words, *SMALL, "trainer.max_epochs=1")
    assert status == 0, err
    with serving(run) as (service, port), connect(f"ws://127.0.0.1:{port}/stream") as socket:
        assert "'time since the step before'" in json.loads(socket.recv(timeout=30))["detail"]
        assert closed(socket) == 1008
        assert "task.ignore=[time]" in service.no_stream


def test_the_interface_is_described():
    with serving(trained_on_phrases("chain")) as (_, port):
        _, described, _ = ask(port, None, "/openapi.json", "GET")
        assert {"/predict", "/health", "/metrics"} <= set(described["paths"])
        assert ask(port, None, "/health", "GET")[1] == {
            "status": "ok", "run": "phrases-chain", "task": "sst", "batching": "window",
            "stream": True,
        }  # fmt: skip
        assert ask(port, None, "/docs", "GET")[0] == 200


def test_wrong_words_say_what_to_write(monkeypatch):
    run = f"run={trained_on_phrases('chain')}"
    assert "did you mean 'continuous'" in refused("serve", run, "batching=continous")
    assert "port is from 0 to 65535" in refused("serve", run, "port=70000")
    assert "nodes must be a whole number" in refused("serve", run, "nodes=many")
    assert "run=... is missing" in refused("serve")
    assert "no such directory" in refused("serve", "run=nowhere")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}" in refused("serve", run, f"port={port}")
    assert "makes no samples of JSON objects" in refused("serve", f"run={trained()}")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert "pip install -e '.[serve]'" in refused("serve", run)


def test_weights_that_were_changed_are_not_served(tmp_path):
    copied = shutil.copytree(trained_on_phrases("chain"), tmp_path / "copied")
    file = copied / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert "model.safetensors" in refused("serve", f"run={copied}", "port=0")


@pytest.mark.slow
def test_the_page_is_run_as_it_stands(tmp_path):
    """The commands of docs/serving.md after the installation, on a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    page = (ROOT / "docs" / "serving.md").read_text()
    commands = re.findall(r"```bash\n(.*?)```", page, re.S)[1].replace("8000", str(port))
    script = tmp_path / "structnet"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m structnet "$@"\n')
    script.chmod(0o700)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"text": "a good film", "class"' in done.stdout
    assert '"record": 2' in done.stdout and '"status": "ok"' in done.stdout
    assert 'status="422"} 1.0' in done.stdout and "ended with 143" in done.stdout


def test_a_prediction_that_json_can_not_hold_is_refused_by_name():
    good = {"class": "a", "probabilities": {"a": 1.0}, "line": 1, "note": None}
    refuse_endless([good])
    for bad in (float("nan"), float("inf")):
        with pytest.raises(Refused, match=rf"prediction's probabilities.b is {bad}, which") as told:
            refuse_endless([good, {"probabilities": {"a": 1.0, "b": [bad]}}])
        assert told.value.record == 2
