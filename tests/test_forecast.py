"""Task forecast: windows, learning, predictions, backtests and what is refused, from a table."""

import csv
import json
import re
import shlex
import sys

import numpy as np
import pytest
import torch
from commands import ROOT, call, refused, run_python
from pages import commands_of

import structnet as sn
from structnet.plugins.sequence.forecast import backtest, writing
from structnet.plugins.sequence.forecast.baselines import Baselines, Table

sys.path.insert(0, str(ROOT / "examples"))
from series_csv import draw

CHAIN = sn.topologies.create("chain")
DAYS, HORIZON = 60, 7
SALES = {"target": "sales", "known_future": "promotion", "static": "size", "horizon": HORIZON}
WORDS = [f"task.{name}={value}" for name, value in SALES.items()]
SMALL = ("net.hidden_size=4", "trainer.num_workers=0", "trainer.accelerator=cpu",
         "trainer.max_epochs=1", "topology=chain", "cell=gru")  # fmt: skip


@pytest.fixture(scope="module")
def sales(tmp_path_factory):
    path = tmp_path_factory.mktemp("series") / "sales.csv"
    path.write_text("\n".join(draw(3, DAYS, 0)) + "\n")
    return path


def loaded(path, topology=CHAIN, **options):
    task = sn.tasks.create("forecast", root=str(path), **(SALES | options))
    return task, task.keep(task.load(topology))


def write(folder, lines, name="t.csv"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def plain_series(values, name="a", first="2024-01-01"):
    days = np.datetime64(first) + np.arange(len(values))
    return [f"{name},{day},{value}" for day, value in zip(days, values, strict=True)]


def test_a_node_has_what_is_known_of_its_step(tmp_path):
    values = np.arange(40.0) ** 2
    lines = ["id,day,y,price,rain"] + [
        f"{row},{at % 3},{10 + at}" for at, row in enumerate(plain_series(values))
    ]
    task, splits = loaded(
        write(tmp_path, lines), target="y", known_future="price", past=["rain"], static=None,
        horizon=4, context=10, season=6, calendar=False,
    )  # fmt: skip
    sample = splits["test"][0]
    assert (sample.structure, task.input_size) == (14, 8)
    centre, deviation, naive = sample.y[0, 0, 1:]
    # Learned from the training part, 32 steps.
    assert centre == pytest.approx(values[:32].mean())
    assert deviation == pytest.approx(values[:32].std())
    assert naive == pytest.approx(np.abs(values[6:32] - values[:26]).mean())
    value, known, season, has_season, rain, price, ahead, far = sample.x.T
    scaled = (values - centre) / deviation
    assert np.allclose(value, [*scaled[26:36], 0, 0, 0, 0], atol=1e-6)
    assert known.tolist() == [1] * 10 + [0] * 4
    assert np.allclose(season, scaled[20:34], atol=1e-6) and has_season.all()
    assert rain[-4:].tolist() == [0] * 4 and np.ptp(rain[:10]) > 0
    assert np.allclose(price[3:], price[:-3]) and np.ptp(price) > 0
    assert ahead.tolist() == [0] * 10 + [1] * 4
    assert np.allclose(far[-4:], [0.25, 0.5, 0.75, 1])
    assert np.isnan(sample.y[:10, 0, 0]).all()
    assert sample.y[10:, 0, 0].tolist() == values[36:].tolist()
    assert (str(sample.origin.path), sample.origin.line) == (str(tmp_path / "t.csv"), 37)
    assert sample.origin.text == "a from 2024-02-06"


def test_beyond_a_season_the_last_known_one_is_taken(tmp_path):
    lines = ["id,day,y", *plain_series(range(30))]
    _, splits = loaded(
        write(tmp_path, lines), target="y", known_future=None, static=None, horizon=5, season=2,
        context=4, scaling="none", calendar=False,
    )  # fmt: skip
    sample = splits["test"][0]
    assert sample.x[:, 2].tolist() == [19, 20, 21, 22, 23, 24, 23, 24, 23]


def test_no_target_is_seen_ahead(sales):
    """Values after the origin change nothing that the net reads."""
    _, splits = loaded(sales)
    before = splits["test"][0]
    at = splits["test"].places[0]
    series = splits["test"].prepared[at.series]
    series.values[at.origin : len(series.series.values), 0] = 1e6
    assert np.array_equal(splits["test"][0].x, before.x)
    context = slice(0, len(before.x) - HORIZON)
    series.values[at.origin - 1, 0] = 1e6
    assert not np.array_equal(splits["test"][0].x[context], before.x[context])


@pytest.mark.parametrize("origins", [1, 3])
def test_a_backtest_of_a_new_series_sees_nothing_after_its_first_origin(tmp_path, origins):
    path = write(tmp_path, ["id,day,y", *plain_series(np.sin(range(60)), "known")])
    task, _ = loaded(path, target="y", known_future=None, static=None, horizon=3)
    values, first = 10 + np.cos(range(60)), 60 - 3 * origins
    changed = np.where(np.arange(60) < first, values, values + 1000)
    read = []
    for name, some in (("as it is", values), ("changed", changed)):
        lines = ["id,day,y", *plain_series(some, "new"), *plain_series(some, "known")]
        table = task.reading.read(write(tmp_path, lines, f"{name}.csv"))
        windows = task.reading.rolling(table, task.learned_data, origins)
        assert [place.origin for place in windows.places[:origins]] == [*range(first, 60, 3)]
        read.append(windows)
        # Of a series that was trained on the scale is known.
        assert windows[origins].y[0, 0, 1] == pytest.approx(task.learned_data.scales["known"][0][0])
    before, after = read
    assert np.array_equal(before[0].x, after[0].x)
    assert np.array_equal(before[0].y[..., 1:], after[0].y[..., 1:])
    assert before[0].y[0, 0, 1] == pytest.approx(values[:first].mean())


@pytest.mark.parametrize("goal", ["point", "quantiles", "normal", "negative_binomial", "mixture"])
@pytest.mark.parametrize("topology", ["chain", "bichain"])
def test_every_goal_learns_on_every_chain(sales, goal, topology):
    topology = sn.topologies.create(topology)
    task, splits = loaded(sales, topology, goal=goal)
    torch.manual_seed(0)
    sizes = sn.Sizes(None, task.input_size, task.num_outputs)
    net = sn.Net(sizes, topology, "gru", task.readout(topology), hidden_size=8, dropout=0.0)
    batch = sn.collate(splits["train"][:24], topology)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    losses = []
    for _ in range(30):
        loss = task.loss(net(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert task.num_targets(None, batch) == (~batch.y[..., 0].isnan()).sum()
    metrics, output = task.metrics(), net(batch)
    for name, found in task.measured(output, batch).items():
        metrics[name].update(*found)
    figures = {name: metric.compute().item() for name, metric in metrics.items()}
    assert all(map(np.isfinite, figures.values())) and task.monitor in figures
    shown = task.values(task.in_units(output, batch))
    assert shown.shape == (batch.num_nodes, len(task.outputs))


def test_the_loss_leaves_out_what_is_missing(sales):
    task, splits = loaded(sales, goal="point")
    batch = sn.collate(splits["test"], CHAIN)
    y, centre, deviation, _ = batch.y[:, 0].unbind(-1)
    known = ~y.isnan()
    assert 0 < known.sum() < HORIZON * len(splits["test"]) + 1
    perfect = ((y - centre) / deviation).nan_to_num(0.0)[:, None]
    assert task.loss(perfect, batch).item() == pytest.approx(0, abs=1e-5)
    assert task.loss(perfect + 2, batch).item() == pytest.approx(2, rel=1e-5)
    assert torch.allclose(task.in_units(perfect, batch)[known, 0], y[known], rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="take readout=every"):
        task.loss(perfect[:3], batch)


def test_short_constant_and_empty_series_are_no_trouble(tmp_path):
    lines = ["id,day,y", *plain_series([5] * 40, "constant"), *plain_series([0] * 40, "zero"),
             *plain_series([1, 2], "two"), *plain_series([""] * 9 + [3], "late"),
             *plain_series(range(40), "long"), *plain_series([""] * 5, "none")]  # fmt: skip
    path = write(tmp_path, lines)
    options = {"target": "y", "known_future": None, "static": None, "horizon": 3}
    for scaled_by in ("series", "window"):
        for goal in ("quantiles", "negative_binomial", "mixture"):
            task, splits = loaded(path, goal=goal, scaled_by=scaled_by, **options)
            for split in splits.values():
                batch = sn.collate(list(split), CHAIN)
                assert batch.x.isfinite().all() and (batch.y[..., 2:] > 0).all()
                o = torch.zeros(batch.num_nodes, task.num_outputs)
                assert task.loss(o, batch).isfinite()
    assert {splits["test"].prepared[at.series].series.name for at in splits["test"].places} == {
        "constant", "zero", "long"
    }  # fmt: skip
    assert all(np.isfinite(list(one.values())).all() for one in task.baselines().values())


def test_windows_can_be_scaled_by_themselves(sales):
    _, by_series = loaded(sales)
    _, by_window = loaded(sales, scaled_by="window")
    one, other = by_series["test"][0].y, by_window["test"][0].y
    values = by_window["test"][0].x
    known = values[:, 1] > 0
    assert abs(values[known, 0].mean()) < 1e-5 and values[known, 0].std() == pytest.approx(1)
    assert np.array_equal(one[..., 3], other[..., 3]) and not np.array_equal(
        one[..., 1], other[..., 1]
    )


def test_a_file_that_has_changed_since_training_is_noticed(tmp_path):
    path = write(tmp_path, ["id,day,y", *plain_series(range(40))])
    options = {"target": "y", "known_future": None, "static": None}
    task, _ = loaded(path, **options)
    task.load(CHAIN)
    write(tmp_path, ["id,day,y", *plain_series(range(41))])
    with pytest.warns(sn.DataWarning, match=r"t\.csv has changed since the net was trained on it"):
        assert task.load(CHAIN).learned["files"] == task.files


def test_several_targets_are_forecast_at_once(tmp_path, sales):
    lines = sales.read_text().splitlines()
    both = [f"{lines[0]},visits"] + [f"{line},{at % 11}" for at, line in enumerate(lines[1:])]
    task, splits = loaded(write(tmp_path, both), target=["sales", "visits"], quantiles=(0.2, 0.8))
    assert task.num_outputs == 4
    assert task.outputs == ["sales", "sales 0.2", "sales 0.8", "visits", "visits 0.2", "visits 0.8"]
    batch = sn.collate(splits["test"], CHAIN)
    assert batch.y.shape == (batch.num_nodes, 2, 4)
    o = torch.randn(batch.num_nodes, 4)
    said = task.in_units(o, batch)
    expected = o[:, 2:].sort(1).values * batch.y[:, 1, 2:3] + batch.y[:, 1, 1:2]
    assert torch.allclose(said[:, 4:], expected)
    assert "coverage_60" in task.baselines()["ridge"]


def test_baselines_are_what_they_say(tmp_path):
    week = np.tile([1.0, 2, 3, 4, 5, 6, 9], 12)
    lines = ["id,day,y", *plain_series(week, "week"), *plain_series(np.arange(84.0), "line")]
    _, splits = loaded(write(tmp_path, lines), target="y", known_future=None, static=None)
    table = Table.of(splits["test"])
    baselines = Baselines(splits["train"])
    said = {name: baselines.forecast(name, table)[0][..., 0].numpy() for name in baselines.models}
    assert np.allclose(said["seasonal naive"][0], week[-7:])
    assert np.allclose(said["seasonal naive"][1], np.arange(70, 77))
    assert np.allclose(said["last value"], [[9] * 7, [76] * 7])
    assert np.allclose(said["drift"][1], np.arange(77, 84))
    assert np.allclose(said["ridge"], table.unscaled(table.y)[..., 0], atol=0.5)
    figures = backtest.baseline_figures(splits, (0.1, 0.5, 0.9))
    assert figures["seasonal naive"]["mase"] == pytest.approx((0 / 1 + 7 / 7) / 2)
    # It errs by 7 on one of two series, in training too, and by nothing on the other.
    assert figures["seasonal naive"]["mae"] == pytest.approx(3.5)


def test_a_backtest_adds_up_over_steps_and_origins(sales):
    task, splits = loaded(sales, origins=3)
    windows = splits["test"]
    table, levels = Table.of(windows), task.outlook.levels
    baselines, truth = Baselines(splits["train"], trained=False), backtest.Truth.of(table)
    said = backtest.baseline(baselines, "last value", table, levels)
    whole = backtest.figures(said, truth, levels)["mae"]
    known = truth.y.isfinite()
    steps = [one["mae"] for one in backtest.by_step(said, truth, levels)]
    assert np.average(steps, weights=known.sum((0, 2))) == pytest.approx(whole)
    origins = [one["mae"] for one in backtest.by_origin(said, truth, levels, windows)]
    weights = [known[at::3].sum() for at in range(3)]
    assert np.average(origins, weights=weights) == pytest.approx(whole)
    assert [place.origin for place in windows.places[:3]] == [DAYS - 21, DAYS - 14, DAYS - 7]


@pytest.fixture(scope="module")
def trained(sales, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    words = ["train", "task=forecast", f"task.root={sales}", "task.origins=2", *WORDS, *SMALL]
    done = call(*words, "task.goal=normal", f"run={run}")
    assert done.status == 0, done.err
    return run, done.out


def test_a_schema_is_shown_before_training_and_baselines_after(trained):
    _, out = trained
    table = [line.split() for line in out.splitlines()]
    for row in ("store id category", "day order time", "sales target number",
                "promotion known_future number", "size static category"):  # fmt: skip
        assert row.split() in table
    assert "series: 3 of 60 to 60 steps of 1 day; season 7, context 14, horizon 7" in out
    assert "6 validation, 6 test samples" in out
    for name in ("last value", "seasonal naive", "drift", "ridge", "boosted trees", "chain gru"):
        assert f"│ {name}" in out


def future(sales, folder, promotion=True):
    """A file of one known series and a new one, whose last days are to be forecast."""
    lines = sales.read_text().splitlines()
    rows = [line.split(",") for line in lines if line.startswith("store 0")]
    made = [lines[0]]
    for name in ("store 0", "new"):
        made += [",".join([name, *row[1:]]) for row in rows]
        made += [f"{name},{np.datetime64('2023-03-02') + at},,1,{rows[0][4]}"
                 for at in range(HORIZON if promotion else 2)]  # fmt: skip
    return write(folder, made, "new.csv")


def test_what_follows_is_predicted(trained, sales, tmp_path):
    run, _ = trained
    path, out, picture = future(sales, tmp_path), tmp_path / "out.csv", tmp_path / "out.png"
    done = call("forecast", f"run={run}", f"path={path}", f"out={out}", f"picture={picture}",
                "samples=2")  # fmt: skip
    assert done.status == 0, done.err
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == ["store", "day", "step", "value", "q0.1", "q0.5", "q0.9", "sample_1",
                             "sample_2"]  # fmt: skip
    assert len(rows) == 2 * HORIZON and rows[-1]["store"] == "new"
    assert [row["day"] for row in rows[:2]] == ["2023-03-02", "2023-03-03"]
    assert [row["step"] for row in rows[:HORIZON]] == [str(at + 1) for at in range(HORIZON)]
    assert all(float(row["q0.1"]) < float(row["q0.5"]) < float(row["q0.9"]) for row in rows)
    assert picture.read_bytes().startswith(b"\x89PNG")
    # The same numbers by the command of all tasks.
    plain = tmp_path / "plain.csv"
    assert call("predict", f"run={run}", f"path={path}", f"out={plain}").status == 0
    again = list(csv.DictReader(plain.read_text().splitlines()))
    assert [row["name"] for row in again] == [row["day"] for row in rows]
    for name, column in (("sales", "value"), ("sales 0.1", "q0.1"), ("sales 0.9", "q0.9")):
        assert np.allclose([float(row[name]) for row in again],
                           [float(row[column]) for row in rows], rtol=1e-4)  # fmt: skip


def test_a_sample_is_drawn(trained, tmp_path):
    out = tmp_path / "sample.png"
    done = call("draw", f"run={trained[0]}", "sample=0", f"out={out}")
    assert done.status == 0 and out.is_file(), done.err


def test_a_backtest_has_the_figures_of_the_run(trained, tmp_path):
    run, _ = trained
    out = tmp_path / "backtest.csv"
    done = call("forecast", f"run={run}", "origins=2", f"out={out}")
    assert done.status == 0, done.err
    test = json.loads((run / "metrics.json").read_text())
    shown = {line.rsplit(maxsplit=8)[0].strip(): line.split()[-8:]
             for line in done.out.splitlines() if len(line.split()) > 8}  # fmt: skip
    for name, figures in ({"chain gru": test["test"]} | test["baselines"]).items():
        assert float(shown[name][0]) == pytest.approx(figures["mase"], abs=2e-4)
    assert "by step" in done.out and "by origin" in done.out
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len({row["origin"] for row in rows}) == 2 and len(rows) == 3 * 2 * HORIZON
    errors = [abs(float(row["value"]) - float(row["actual"])) for row in rows if row["actual"]]
    assert np.mean(errors) == pytest.approx(test["test"]["mae"], rel=1e-3)


def test_a_record_and_a_frame_are_forecast_as_a_file(trained, sales, tmp_path):
    import pandas

    run = sn.Run.open(trained[0])
    net, task = run.load_net(), run.task
    path = future(sales, tmp_path)
    (from_file, _) = task.read(path, run.topology)
    frame = pandas.read_csv(path, parse_dates=["day"])
    (from_frame, _) = task.read_data(frame, run.topology)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    rows = [row for row in rows if row["store"] == "store 0"]
    place = sn.Origin("request", 1, "")
    record = task.read_record({"rows": rows}, place, run.topology)
    for other in (from_frame, record):
        assert np.allclose(from_file.x, other.x) and np.array_equal(
            from_file.structure, len(other.x)
        )
    net(sn.collate([record], run.topology))
    for wrong in ({}, {"rows": []}, {"rows": [1]}):
        with pytest.raises(ValueError, match=r'request, line 1: expected \{"rows"'):
            task.read_record(wrong, place, run.topology)


def test_the_series_and_its_time_are_columns_of_predictions(trained, sales, tmp_path):
    import pandas

    run, path = sn.Run.load(trained[0]), future(sales, tmp_path)
    frame = pandas.read_csv(path, parse_dates=["day"])
    found = run.predict(frame)
    assert list(found.columns)[:3] == ["store", "day", "node"]
    ahead = {store: some["day"].tolist() for store, some in found.groupby("store")}
    assert ahead == {
        store: [f"{day:%Y-%m-%d}" for day in sorted(some["day"])[-HORIZON:]]
        for store, some in frame.groupby("store")
    }
    out = tmp_path / "found.csv"
    status, _, err = call("predict", f"run={trained[0]}", f"path={path}", f"out={out}")
    assert status == 0, err
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["day"] for row in rows if row["store"] == "new"] == ahead["new"]


def test_records_and_tables_are_predicted_in_python(trained, sales, tmp_path):
    run, path = sn.Run.load(trained[0]), future(sales, tmp_path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    records = [
        {"rows": [row for row in rows if row["store"] == name]} for name in ("new", "store 0")
    ]
    found = run.predict(records).values
    assert found.shape == (2 * HORIZON, 4)
    for table in (path, str(path)):
        assert np.allclose(run.predict(table).values, [*found[HORIZON:], *found[:HORIZON]])
    assert np.allclose(run.predict(records[0]).values, found[:HORIZON])
    with pytest.raises(ValueError, match=r'data, line 2: expected \{"rows"'):
        run.predict([records[0], {"row": []}])
    with pytest.raises(ValueError, match="data, row 1: task 'forecast' reads texts, paths, mapp"):
        run.predict([3])


def test_forecasts_are_written_with_all_of_their_digits(sales):
    task, splits = loaded(sales, goal="point")
    windows = splits["test"]
    point = torch.full((len(windows), HORIZON, 1), 123456789.0)
    point[0, 0] = 1 / 3
    said, columns = backtest.Said(point, None, None), task.learned_data.columns
    written = [row[3] for row in writing.rows(windows, said, columns, rolls=False)]
    assert torch.equal(torch.tensor([float(one) for one in written]), point.flatten())
    assert written[1] == "123456792"


def test_a_frame_is_trained_on_in_place_of_a_file(sales):
    import polars

    task = sn.tasks.create("forecast", **SALES)
    task.data = polars.read_csv(sales, try_parse_dates=True)
    splits = task.keep(task.load(CHAIN))
    other, of_file = loaded(sales)
    assert np.array_equal(splits["test"][2].x, of_file["test"][2].x)
    assert task.known["columns"] == other.known["columns"]


def test_what_can_not_be_forecast_is_refused(trained, sales, tmp_path):
    run, _ = trained
    short = future(sales, tmp_path, promotion=False)
    message = refused("forecast", f"run={run}", f"path={short}")
    assert "'store 0' has no row for 2023-03-04: of the 7 steps" in message
    assert "promotion are known ahead; add rows" in message
    lines = short.read_text().splitlines()
    other = write(tmp_path, [line.rpartition(",")[0] for line in lines], "other.csv")
    assert "no column 'size'" in refused("forecast", f"run={run}", f"path={other}")
    text = write(
        tmp_path, [lines[0], *(line.replace(",1,", ",much,") for line in lines[1:])], "x.csv"
    )
    assert "column 'promotion': 'much', expected a number" in refused(
        "forecast", f"run={run}", f"path={text}"
    )
    assert "origins is at most 2" in refused("forecast", f"run={run}", "origins=3")
    assert "name a file .csv" in refused("forecast", f"run={run}", "out=x.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "'horizon' is at least 1, got 0"),
        ({"horizon": 30}, r"longest series has 60 steps, which are too few to train on: 30 are"),
        ({"origins": 6}, "set task.horizon or task.origins to less"),
        ({"quantiles": (0.5, 0.1)}, "'quantiles' is ascending levels"),
        ({"quantiles": (0.5, 1.0)}, "'quantiles' is ascending levels"),
        ({"quantiles": (0.1, 0.2)}, r"has 0\.5, or levels on both sides of it.*got \[0\.1, 0\.2\]"),
        ({"quantiles": (0.9,)}, r"has 0\.5, or levels on both sides of it"),
        ({"target": "size", "static": None}, r"line 2, column 'size': '\w+', expected a number"),
        (
            {"static": ["promotion", "size"], "known_future": None},
            "as in the first row of its sequence: name a col",
        ),
        ({"known_future": "day"}, r"'day' is both task\.order and task\.known_future"),
        (
            {"target": None, "known_future": None},
            "several columns of numbers, 'sales', 'promotion'",
        ),
        ({"goal": "negative_binomial", "scaling": "standard"}, "scales by task.scaling=absolute"),
        ({"frequency": "1mo"}, "expected a whole number of steps of 1 month"),
        ({"frequency": "often"}, "'frequency' is a step such as"),
    ],
)
def test_wrong_options_are_refused(sales, options, message):
    with pytest.raises(ValueError, match=message):
        loaded(sales, **({"order": "day"} | options))


def test_counts_are_whole_numbers_from_zero_on(tmp_path):
    lines = ["id,day,y", *plain_series([1, 2, 2.5] + [3] * 30)]
    with pytest.raises(ValueError, match=r"line 4, column 'y': 2\.5, expected a count"):
        loaded(write(tmp_path, lines), target="y", known_future=None, static=None,
               goal="negative_binomial", horizon=2)  # fmt: skip


def test_roles_are_inferred_and_said_where_they_can_not_be(tmp_path):
    lines = ["shop,day,sales", *plain_series(range(30), "a"), *plain_series(range(30), "b")]
    path = write(tmp_path, lines)
    task = sn.tasks.create("forecast", root=str(path), horizon=3)
    task.keep(task.load(CHAIN))
    columns = task.learned_data.columns
    assert (columns.id, columns.order, columns.target) == ("shop", "day", ("sales",))
    lines = [f"{line},{str(at % 2 == 0).lower()}" for at, line in enumerate(lines[1:])]
    path = write(tmp_path, ["shop,day,sales,open", *lines], "open.csv")
    task = sn.tasks.create("forecast", root=str(path), horizon=3)
    task.keep(task.load(CHAIN))
    assert task.learned_data.columns.id == "shop"
    alone = write(tmp_path, ["t,y", *(f"{at / 2},{at % 5}" for at in range(40))], "alone.csv")
    task = sn.tasks.create("forecast", root=str(alone), horizon=3, season=5)
    splits = task.keep(task.load(CHAIN))
    assert task.learned_data.columns.id is None and len(splits["test"]) == 1
    assert splits["test"][0].origin.names == ["18.5", "19", "19.5"]
    nothing = write(tmp_path, ["a,b", "x,1", "y,2"], "nothing.csv")
    with pytest.raises(ValueError, match=r"no column of times among 'a', 'b'.*task\.order=COLUMN"):
        sn.tasks.create("forecast", root=str(nothing)).load(CHAIN)
    with pytest.raises(FileNotFoundError, match=r"there is no .*gone\.csv: task\.root is a table"):
        sn.tasks.create("forecast", root=str(tmp_path / "gone.csv")).find()


@pytest.mark.filterwarnings("ignore:.*column 'c' has 2.. different values:structnet.DataWarning")
def test_too_many_categories_are_refused(tmp_path):
    lines = ["id,day,y,c", *(f"{row},c{at}" for at, row in enumerate(plain_series(range(300))))]
    with pytest.raises(ValueError, match=r"'c' of task\.past have 2\d\d categories or words"):
        loaded(write(tmp_path, lines), target="y", known_future=None, static=None, past="c")


def test_what_was_learned_is_plain_and_checked(sales):
    task, splits = loaded(sales)
    again, other = sn.tasks.create("forecast", root=str(sales), **SALES), None
    again.know(None, {"known": json.loads(json.dumps(task.known))})
    other = again.load(CHAIN)
    assert np.array_equal(other["test"][1].x, splits["test"][1].x)
    assert json.loads(json.dumps(other.learned["known"])) == json.loads(json.dumps(task.known))
    again.know(None, {"known": {"columns": 3}})
    with pytest.raises(ValueError, match="is not that of task forecast"):
        _ = again.learned_data


PAGE = (ROOT / "docs" / "forecasting.md").read_text()


@pytest.mark.slow
def test_the_commands_of_the_page_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    block = commands_of("docs/forecasting.md").replace("\\\n", " ")
    lines = [shlex.split(line) for line in block.splitlines()]
    assert [line[1] for line in lines if line[0] == "structnet"] == ["train"] + ["forecast"] * 3
    for words in lines:
        if words[0] == "structnet":
            done = call(*words[1:])
            assert done.status == 0, done.err
        else:
            made = run_python(*words[1 : words.index(">")], cwd=tmp_path)
            assert words[0] == "python" and made.returncode == 0, made.stderr
            (tmp_path / words[-1]).write_text(made.stdout)
    assert (tmp_path / "forecasts.png").is_file()
    written = list(csv.DictReader((tmp_path / "forecasts.csv").read_text().splitlines()))
    assert len(written) == 4 * 7 and all(float(row["value"]) >= 0 for row in written)
    assert (tmp_path / "backtest.csv").is_file()
    (python,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    made = run_python("-c", f"{python}\nassert len(ahead) == 4 * 7", cwd=tmp_path)
    assert made.returncode == 0, made.stderr


def test_the_table_of_the_page_has_every_option():
    named = set(re.findall(r"`task\.(\w+)", PAGE))
    assert set(sn.tasks.options("forecast")) <= named


def test_series_far_from_zero_have_the_figures_of_those_around_it(tmp_path):
    found = []
    for offset in (0, 1_700_000_000):
        lines = ["day,y"] + [f"{day},{offset + 50 * (day % 7)}" for day in range(90)]
        path = tmp_path / f"{offset}.csv"
        path.write_text("\n".join(lines))
        options = {"order": "day", "horizon": 3, "context": 8, "goal": "mixture"}
        task = sn.tasks.create("forecast", root=str(path), **options)
        splits = task.keep(task.load(CHAIN))
        batch = sn.collate(list(splits["test"]) + list(splits["train"][:5]), CHAIN)
        torch.manual_seed(0)
        output = torch.randn(batch.num_nodes, task.num_outputs)
        sums = task.measured(output, batch)
        every = {
            name: sums[name][0].sum() / sums[name][1].sum() for name in ("mase", "mae", "crps")
        }
        found.append({"loss": task.loss(output, batch), **every})
        assert task.baselines()["last value"]["mase"] > 0
    for name, value in found[0].items():
        assert float(found[1][name]) == pytest.approx(float(value), rel=1e-4), name
