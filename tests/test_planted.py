"""Planted swaps: what is planted, where it is ranked, and the command that counts."""

import ast
import dataclasses
import json
import math
import warnings

import pytest
from commands import call, code_folder, refused, trained, write_code

import structnet as sn
from structnet.plugins.code.sources import parse
from structnet.plugins.tree.expressions.expression import expressions, expressions_of
from structnet.plugins.tree.expressions.planting import exchange, plant


@pytest.fixture(scope="module")
def run():
    return sn.Run.open(trained())


@pytest.fixture(scope="module")
def net(run):
    return run.load_net()


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Files that the run has not seen: eight of 15 lines, an empty one and one that is broken."""
    folder = write_code(tmp_path_factory.mktemp("planted") / "other", files=8)
    (folder / "empty.py").write_text("")
    (folder / "broken.py").write_text("a -\n")
    return folder


def content(expression, swapped):
    nodes = expression.nodes(swapped)
    return expression.kind, nodes.words, nodes.parent.tolist()


def test_an_exchange_in_the_syntax_tree_is_that_of_the_expression(tmp_path):
    path, again = tmp_path / "a.py", tmp_path / "b.py"
    path.write_text("x = f(a - (b - c), d, k=e - g) - h[i < j]\nprint('a' % b, 3)\n")
    found = list(expressions(path))
    assert len(found) == 8
    for number, one in enumerate(found):
        module = parse(path)
        exchange(list(expressions_of(path, module))[number][1])
        again.write_text(ast.unparse(module))
        assert content(one, True) in [content(other, False) for other in expressions(again)]


def planted(run, net, folder, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sn.DataWarning)
        return plant(run, net, sorted(folder.glob("*.py")), **options)


def swapped_line(swap, line):
    """A line of a statement, with the expression of the swap exchanged."""
    module = ast.parse(line.strip())
    for _, node in expressions_of(swap.path, module):
        exchange(node)
        if ast.unparse(node) == swap.text:
            return "    " + ast.unparse(module).replace("\n    ", " ")
        exchange(node)
    raise AssertionError(swap)


def test_a_swap_is_ranked_as_predictions_for_the_file_that_has_it(run, net, other, tmp_path):
    from structnet.training.predict import predict

    bench = planted(run, net, other, lines=6)
    assert {swap.path.name for swap in bench.swaps} == {f"part_{i}.py" for i in range(8)}
    written = tmp_path / "written.py"
    for swap in bench.swaps:
        rows = swap.path.read_text().splitlines()
        rows[swap.line - 1] = swapped_line(swap, rows[swap.line - 1])
        written.write_text("\n".join(rows) + "\n")
        said = predict(run, net, written)
        mine = next(
            one for one in said if (one.origin.line, one.origin.text) == (swap.line, swap.text)
        )
        assert swap.probability == pytest.approx(mine.probability, rel=1e-4)
        for lines, rank in ((10_000, swap.in_file), (6, swap.in_change)):
            near = {
                one.origin.text: one.probability
                for one in reversed(said)
                if abs(one.origin.line - swap.line) <= lines // 2 and one is not mine
            }
            before = sum(p >= mine.probability * (1 - 1e-6) for p in near.values())
            assert rank == (1 + before, 1 + len(near))


def test_files_as_they_were_give_the_false_alarms(run, net, other):
    from structnet.training.predict import predict

    bench = planted(run, net, other)
    expected = []
    for number in range(8):
        said = predict(run, net, other / f"part_{number}.py")
        expected += {one.origin.text: one.probability for one in reversed(said)}.values()
    assert sorted(bench.others) == pytest.approx(sorted(expected), rel=1e-4)
    assert bench.lines == 8 * 16
    # The log-odds are those of the net alone, without the prior.
    samples = [one for number in range(8) for one in run.task.read(other / f"part_{number}.py",
                                                                   run.topology)]  # fmt: skip
    batch = sn.collate(samples, run.topology)
    shown, exchanged = run.task.sample_output(net(batch), batch).detach().unbind(1)
    assert sorted(bench.odds) == pytest.approx(sorted((exchanged - shown).tolist()), abs=1e-4)


def test_the_draw_is_by_seed_and_small_files_are_passed_over(run, net, other):
    (other.parent / "small").mkdir(exist_ok=True)
    (other.parent / "small" / "a.py").write_text("a - b\n")
    one, again, others = (planted(run, net, other, count=3, seed=seed) for seed in (1, 1, 2))
    assert one == again != others and len(one.swaps) == 3
    small = other.parent / "small"
    assert len(planted(run, net, small).swaps) == 1
    assert planted(run, net, small, finds=2).swaps == []


def test_the_command_counts_what_it_plants(run, net, other):
    words = ("planted", f"run={trained()}", f"root={other}", "finds=5", "lines=6")
    status, out, err = call(*words, "--json")
    assert status == 0 and "broken.py" in err
    found = json.loads(out)
    assert found["files"] == len(found["swaps"]) == 8
    for name in ("in_file", "in_change"):
        ranks = [tuple(swap[name]) for swap in found["swaps"]]
        for k in (1, 5, 20):
            assert found[name]["top"][str(k)] == sum(rank <= k for rank, _ in ranks) / 8
            expected = sum(min(1, k / of) for _, of in ranks) / 8
            assert found[name]["random"][str(k)] == pytest.approx(expected)
    bench = planted(run, net, other)
    assert found["expressions"] == len(bench.odds)
    assert found["right"] == sum(odds < 0 for odds in bench.odds) / len(bench.odds)
    assert 0 <= found["calibration_error"] <= 1
    for one in found["by_probability"]:
        share = sum(swap["probability"] >= one["least"] for swap in found["swaps"]) / 8
        assert one["found"] == share
    status, out, _ = call(*words)
    assert status == 0
    assert "8 files, 128 lines" in out and "in a random order" in out
    assert f"{100 * found['in_file']['top']['5']:.1f} %" in out


def test_files_that_were_learned_from_are_left_out():
    status, out, err = call("planted", f"run={trained()}", "finds=1", "--json")
    assert (status, err) == (0, "")
    tested = {str(path) for path in sn.Run.open(trained()).task.find()["test"]}
    assert {swap["path"] for swap in json.loads(out)["swaps"]} == tested
    again = call("planted", f"run={trained()}", f"root={code_folder()}", "finds=1", "--json")
    assert json.loads(again.out) == json.loads(out)


def test_what_cannot_be_planted_is_refused(tmp_path):
    run = f"run={trained()}"
    assert "neither a path nor an installed package" in refused("planted", run, "root=nothere")
    assert "no file or folder 'no/where'" in refused("planted", run, "root=no/where")
    learned = sn.Run.open(trained()).task.find()["train"][0]
    assert "trained or validated with all 1 Python files" in refused(
        "planted", run, f"root={learned}"
    )
    (tmp_path / "a.py").write_text("a - b\n")
    message = refused("planted", run, f"root={tmp_path}")
    assert "none of 1 Python files has 21 expressions" in message and "finds=1" in message
    assert "files must be a whole number" in refused("planted", run, "files=0")
    assert call("planted", run, "root=json", "finds=1", "files=2").status == 0


def test_habits_judge_an_expression_by_the_others(tmp_path):
    """The log-odds are those of a regression on all expressions of other fifths."""
    import zlib

    import numpy as np

    from structnet.plugins.tree.expressions.baselines import fit_positional, positional_features
    from structnet.plugins.tree.expressions.habits import FOLDS, Habits

    folder = write_code(tmp_path / "package", files=4)
    found = [one for path in sorted(folder.glob("*.py")) for one in expressions(path)]
    habits = Habits(folder).log_odds(found)

    def fold(one):
        return zlib.crc32(f"{one.path.name} {one.line} {one.place.column}".encode()) % FOLDS

    for number, one in list(enumerate(found))[::7]:
        others = [(other, False) for other in found if fold(other) != fold(one)]
        model = fit_positional(positional_features(others))
        expected = model.decision_function(positional_features([(one, False)]))
        assert habits[number] == pytest.approx(expected[0], rel=1e-6)
    # Written as elsewhere, most are not taken for swapped; exchanged they are, by as much.
    assert (habits < 0).mean() > 0.8
    assert np.abs(Habits(folder).log_odds([])).sum() == 0


def test_what_a_package_writes_one_way_over_and_over_is_less_probable_and_the_other_way_more(
    run, tmp_path
):
    from structnet.training.predict import predict

    package = tmp_path / "package"
    package.mkdir()
    for number in range(20):
        (package / f"part_{number}.py").write_text(
            f"gauge(depth, probe)\nprint(a, b, {number})\n" * 3
        )
    asked = tmp_path / "asked.py"
    asked.write_text("gauge(depth, probe)\ngauge(probe, depth)\n")
    task = sn.tasks.create("swapped", root=str(code_folder()), habits=str(package))
    task.know(run.task.vocabulary, {})
    net = run.load_net()

    def said(task):
        found = predict(dataclasses.replace(run, task=task), net, asked)
        return {one.origin.line: one.probability for one in found}

    plain, habits = said(run.task), said(task)
    assert habits[1] < plain[1] and habits[2] > plain[2]
    # Exchanging the arguments negates both parts of the log-odds.
    odds = [math.log(habits[line] / (1 - habits[line])) for line in (1, 2)]
    prior = math.log(task.prior / (1 - task.prior))
    assert odds[0] - prior == pytest.approx(prior - odds[1], rel=0.2)


@pytest.mark.slow
def test_the_command_learns_habits_of_a_package(other):
    words = ("planted", f"run={trained()}", f"root={other}", "finds=5", "--json")
    without, with_habits = (
        json.loads(call(*words, *more).out) for more in ((), (f"habits={code_folder()}",))
    )
    assert [one["line"] for one in without["swaps"]] == [
        one["line"] for one in with_habits["swaps"]
    ]
    top = [found["in_file"]["top"]["5"] for found in (without, with_habits)]
    assert top[1] > top[0]
    few = refused("planted", f"run={trained()}", f"root={other}", f"habits={other / 'part_0.py'}")
    assert "expressions, habits are learned from 50 or more" in few
