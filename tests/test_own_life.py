"""Own data from training to answers: each kind is trained on, predicted, exported and served."""

import json
import subprocess
import sys
import urllib.request

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from commands import SMALL, call
from own_data import HEAD, KINDS, source, visits
from test_serve import serving

import structnet as sn

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", KINDS)
def test_own_data_is_trained_on_predicted_exported_and_served(kind, tmp_path):
    path, record = source(kind, tmp_path)
    run = tmp_path / "run"
    words = (*KINDS[kind], f"task.root={path}", f"run={run}", *SMALL, "trainer.max_epochs=2")
    status, out, err = call("train", *words)
    assert status == 0, err
    assert "boosted trees" in out and "majority" in out
    said = json.loads(call("predict", f"run={run}", f"path={path}", "--json").out)
    assert len(said) == 60 and all(0 <= one["probability"] <= 1 for one in said)
    status, out, err = call("export", f"run={run}", f"out={tmp_path / 'model'}", "--verify", "20")
    assert status == 0, err
    answer = subprocess.run(
        [sys.executable, "-I", tmp_path / "model" / "runtime.py"], capture_output=True, text=True
    )
    assert json.loads(answer.stdout)["largest_difference"] < 1e-4, answer.stderr
    with serving(run) as (_, port):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/predict", json.dumps(record).encode()
        )
        (found,) = json.loads(urllib.request.urlopen(asked).read())
    (expected,) = [
        one for one in said
        if one["text"] == "v3" or (kind != "sequences" and one["line"] == 4)
    ]  # fmt: skip
    assert found["class"] == expected["class"]
    assert found["probability"] == pytest.approx(expected["probability"], abs=1e-5)


def test_a_frame_is_trained_on_and_predicted_exported_and_served(tmp_path):
    frame = pd.DataFrame(visits(), columns=HEAD)
    frame["pulse"] = pd.to_numeric(frame["pulse"])
    run = sn.fit(
        "sequences", {"hidden_size": 4}, data=frame, id="visit", order="minute",
        trainer={"max_epochs": 1, "num_workers": 0}, run=tmp_path / "run", quiet=True,
    )  # fmt: skip
    found = sn.Run.load(run.directory).predict(frame.drop(columns="label"))
    assert isinstance(found, pd.DataFrame) and len(found) == 60
    status, _, err = call("export", f"run={run.directory}", f"out={tmp_path / 'model'}")
    assert status == 0, err
    with serving(run.directory) as (service, _):
        assert service.no_stream is not None


def test_graphs_in_memory_are_trained_on_and_predicted(tmp_path):
    rng = np.random.default_rng(0)
    every = []
    for number in range(40):
        graph = nx.gnp_random_graph(5, 0.5, seed=number)
        for node in graph:
            graph.nodes[node]["value"] = float(rng.normal() + 3 * (number % 2))
        graph.graph["label"] = "high" if number % 2 else "low"
        every.append(graph)
    run = sn.fit(
        "graphs", {"hidden_size": 4}, data=every, topology="ordered_graph",
        trainer={"max_epochs": 2, "num_workers": 0}, run=tmp_path / "run", quiet=True,
    )  # fmt: skip
    found = run.predict(every[:3])
    assert len(found.classes) == 3 and set(found.classes) <= {"high", "low"}


def test_a_frame_of_series_is_forecast_exported_and_served(tmp_path):
    days = pd.date_range("2024-01-01", periods=60)
    frame = pd.DataFrame(
        [
            {"shop": shop, "day": day, "sales": float(10 + shop + at % 7)}
            for shop in range(3)
            for at, day in enumerate(days)
        ]
    )
    run = sn.fit(
        "forecast", {"hidden_size": 4}, data=frame, id="shop", horizon=3,
        trainer={"max_epochs": 1, "num_workers": 0}, run=tmp_path / "run", quiet=True,
    )  # fmt: skip
    found = run.predict(frame)
    assert len(found) == 3 * 3
    assert np.isfinite(found["sales"]).all() and "sales 0.9" in found
    status, _, err = call("export", f"run={run.directory}", f"out={tmp_path / 'model'}")
    assert status == 0, err
    rows = frame[frame["shop"] == 1].assign(day=lambda one: one["day"].astype(str))
    rows = rows.to_dict("records")
    with serving(run.directory) as (_, port):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/predict", json.dumps({"rows": rows}).encode()
        )
        said = json.loads(urllib.request.urlopen(asked).read())
    assert len(said) == 3
