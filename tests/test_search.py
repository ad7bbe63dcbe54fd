"""Searches of intervals: what is tried, pruned, resumed and shared, and what is refused."""

import json
import os
import sys
from pathlib import Path

import pytest
from commands import call, files_below, refused

import structnet as sn
from structnet.config.sweeping import Interval, space
from structnet.study.searched import Searched
from structnet.study.trials import Trials

RATE = "trainer.learning_rate=interval(1e-4,1e-1)"
WORDS = ("train", "-m", "task=arithmetic", "topology=chain", RATE, "run=mine")
# The figure is best at a learning rate of 0.003; the words of a run that is resumed have none.
FIGURE = """
import math
rate = float(place.name.split("trainer.learning-rate-")[1].split("-cell")[0])
figure = 1 - abs(math.log10(rate / 0.003))
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fake(fake):
    """The same with a `figure` that depends on the learning rate."""
    return lambda source: fake(FIGURE + source)


def names(directory):
    """The directories of the trials by number."""
    found = [path.name for path in Path(directory).iterdir() if path.is_dir()]
    return sorted(found, key=lambda name: int(name.split("_")[0]))


@pytest.mark.slow
def test_a_search_tries_values_and_names_the_best(place, fake):
    fake("finish(figure)")
    status, out, err = call(*WORDS, "cell=gru,elman", "--trials", 6, "--jobs", 2)
    assert status == 0, err + out
    assert "trainer.learning_rate: 0.0001 to 0.1, by its logarithm\ncell: elman, gru\n" in out
    assert len(names("mine")) == 6
    figures = {
        name: json.loads((place / "mine" / name / "metrics.json").read_text())["test"]["accuracy"]
        for name in names("mine")
    }
    best = max(figures, key=lambda name: figures[name])
    (line,) = [line for line in out.splitlines() if line.startswith("best: ")]
    number, rest = best.split("_", 1)
    rate = rest.removeprefix("trainer.learning-rate-").split("-cell")[0]
    assert line.startswith(f"best: {number}, validation accuracy {figures[best]:.4f}: structnet ")
    assert f"trainer.learning_rate={rate}" in line.split() and "run=" not in line
    table = (place / "mine" / "table.md").read_text()
    assert f"| finished | {figures[best]:.4f} | {figures[best]:.4f} | mine/{best} |" in table
    for line in (place / "mine" / "journal.log").read_text().splitlines():
        assert isinstance(json.loads(line), dict)
    # The same again has nothing left to train; a larger number goes on.
    before = files_below(place)
    assert call(*WORDS, "cell=gru,elman", "--trials", 6).status == 0
    assert files_below(place) == before
    status, out, _ = call("train", "resume=mine", "--trials", 8)
    assert status == 0 and len(names("mine")) == 8 and out.count("/8  trainer") == 2
    assert call("train", "resume=mine").status == 0 and len(names("mine")) == 8
    assert "holds another search" in refused(*WORDS, "--trials", 6)


@pytest.mark.slow
def test_values_depend_on_the_seed_and_the_number(place, fake):
    fake("finish(figure)")
    for name, seed in (("mine", 0), ("same", 0), ("other", 1)):
        status, _, err = call(*WORDS[:-1], f"run={name}", f"seed={seed}", "--trials", 4)
        assert status == 0, err
    # In two goes as in one.
    assert call(*WORDS[:-1], "run=parts", "seed=0", "--trials", 2).status == 0
    assert call("train", "resume=parts", "--trials", 4).status == 0
    assert names("mine") == names("same") == names("parts")
    assert not set(names("mine")) & set(names("other"))


@pytest.mark.slow
def test_a_trial_that_is_worse_than_most_is_pruned(place, fake):
    fake("""
def log(epoch, figure):
    (place / "logs" / "version_0").mkdir(parents=True, exist_ok=True)
    (place / "checkpoints").mkdir(exist_ok=True)
    rows = ["epoch,step,minutes,validation/accuracy"]
    rows += [f"{one},{one},{one},{figure}" for one in range(epoch + 1)]
    (place / "logs" / "version_0" / "metrics.csv").write_text("\\n".join(rows) + "\\n")
    (place / "checkpoints" / "last.ckpt").write_text(str(epoch))

log(0, 0.9 if number < 6 else 0.1)
if number < 6:
    wait_for("go-on") if number == 5 else time.sleep(0.3)
    finish(0.9)
else:
    signal.signal(signal.SIGTERM, lambda *given: sys.exit(143))
    wait_for("never")
""")
    (place / "go-on").touch()
    status, out, err = call(*WORDS, "trainer.max_epochs=3", "--trials", 6)
    assert status == 0, err + out
    (last,) = [line for line in out.splitlines() if line.startswith("6/6")]
    assert last.endswith("pruned")
    table = (place / "mine" / "table.md").read_text()
    assert table.count("| finished | 0.9000 |") == 5 and "| pruned | 0.1000 |  |" in table
    assert (place / "mine" / names("mine")[5] / "checkpoints" / "last.ckpt").is_file()
    # It is not trained again.
    assert call("train", "resume=mine").status == 0
    assert "| pruned |" in (place / "mine" / "table.md").read_text()


def test_trials_that_fail_are_told_and_counted(place, fake):
    fake("""
if number == 1:
    print("structnet: error: no luck", file=sys.stderr)
    sys.exit(2)
finish(float("nan") if number == 2 else figure)
""")
    status, out, _ = call(*WORDS, "--trials", 3, "--jobs", 3)
    assert status == 1 and len(names("mine")) == 3
    assert "failed: 1: no luck; its output: mine/1_trainer" in out
    assert "failed: 2: its validation accuracy is nan" in out
    assert "best: 3, " in out


def taken(directory, **others):
    """The trials of a search, as another process has them."""
    varied = Searched([RATE]).varied
    return Trials(Path(directory), varied, "max", 0, **others)


@pytest.mark.slow
def test_a_trial_whose_search_was_killed_is_resumed_and_counted_once(place, fake):
    fake("finish(figure)")
    assert call(*WORDS, "--trials", 1).status == 0
    killed = taken("mine")
    assert [killed.take(4).number for _ in range(2)] == [1, 2]
    # The system releases the locks of a process that is killed.
    for _, lock in killed._taken.values():
        lock.release()
    begun = place / "mine" / "2_x"
    status, out, err = call("train", "resume=mine", "--trials", 4)
    assert status == 0, err + out
    assert [name.split("_")[0] for name in names("mine")] == ["1", "2", "3", "4"]
    assert not begun.exists()
    assert (place / "mine" / "table.md").read_text().count("| finished |") == 4


def test_processes_share_a_search(place, fake):
    fake("finish(figure)")
    assert call(*WORDS, "--trials", 1).status == 0
    one, other = taken("mine"), taken("mine")
    numbers = [(one, other)[turn % 2].take(5).number for turn in range(4)]
    assert numbers == [1, 2, 3, 4]
    assert one.take(5) is None and other.take(5) is None
    # Trials that others train are left alone.
    assert call("train", "resume=mine", "--trials", 5).status == 0 and len(names("mine")) == 1
    assert (place / "mine" / "table.md").read_text().count("| running |") == 4
    one.finish(1, 0.5)
    other.fail(2, "no luck")
    assert [trial.state.name for trial in one.all()[:3]] == ["COMPLETE", "COMPLETE", "FAIL"]


def test_a_trial_without_values_is_told_to_have_failed(place, fake):
    """Its process was killed between the two lines of the journal."""
    fake("finish(figure)")
    assert call(*WORDS, "--trials", 1).status == 0
    taken("mine")._study.ask()
    status, out, _ = call("train", "resume=mine", "--trials", 3)
    assert status == 1 and "failed: 2: its search was killed before it had values" in out
    assert [name.split("_")[0] for name in names("mine")] == ["1", "3"]


def test_a_line_that_was_not_written_to_its_end_is_dropped(place, fake):
    fake("finish(figure)")
    assert call(*WORDS, "--trials", 2).status == 0
    journal = place / "mine" / "journal.log"
    with journal.open("a") as file:
        file.write('{"op_code":4,"work')
    assert call("train", "resume=mine", "--trials", 4).status == 0
    assert all(map(json.loads, journal.read_text().splitlines()))
    assert len(names("mine")) == 4


@pytest.mark.parametrize("text", ["[1]\n", '{"op_code": 4}\n', "none\n\n", '{"op_code": "x"}\n'])
def test_a_journal_that_is_none_is_named(place, fake, text):
    fake("finish(figure)")
    assert call(*WORDS, "--trials", 1).status == 0
    (place / "mine" / "journal.log").write_text(text)
    message = refused("train", "resume=mine", "--trials", 2)
    assert message.startswith("mine/journal.log is not the journal of a search")


def test_a_search_writes_nowhere_else(place, fake):
    fake("finish(figure)")
    assert call(*WORDS, "--trials", 1).status == 0
    (place / "precious").write_text("")
    (place / "mine" / "journal.log").unlink()
    (place / "mine" / "journal.log").symlink_to(place / "precious")
    assert "is a symbolic link" in refused("train", "resume=mine", "--trials", 2)
    assert (place / "precious").read_text() == ""


@pytest.mark.parametrize("found", [[3], {}, {"words": [], "folders": [], "trials": "x"}])
def test_a_list_that_is_none_is_named(place, found):
    (place / "mine").mkdir()
    (place / "mine" / "search.json").write_text(json.dumps(found))
    assert "mine/search.json is not the list of a search" in refused("train", "resume=mine")


def test_without_optuna_the_extra_is_named(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    message = refused(*WORDS, "--trials", 2)
    assert "Optuna, which is not installed" in message and "extra 'search'" in message
    assert not files_below(place)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cell=interval(1,2)",), "an interval is of numbers, which cell does not take"),
        (("trainer.optimizer=interval(1,2)",), "which trainer.optimizer does not take"),
        (("net.nothing=interval(1,2)",), "which net.nothing does not take"),
        (("net.hidden_size=interval(1.5,4)",), "net.hidden_size takes whole numbers"),
        (("trainer.learning_rate=interval(-1,1)",), "option 'learning_rate' of trainer must be"),
        (("trainer.learning_rate=interval(2,1)",), "must begin below its end"),
        (("trainer.learning_rate=interval(1,2),interval(3,4)",), "interval(LOW,HIGH)"),
        (("trainer.learning_rate=interval(a,2)",), "interval(LOW,HIGH)"),
        (("trainer.learning_rate=tag(ln,interval(1,2))",), "no tag 'ln' among ['log', 'linear']"),
        (("net.dropout=tag(log,interval(0,0.5))",), "only positive numbers have a logarithm"),
        ((RATE, "cell=gru", "cell=lstm"), "cell is given twice"),
        ((RATE, "run=a,b"), "a search has one directory"),
        (("cell=gru",), "nothing to search"),
        (("experiment=cell_comparison", RATE), "the runs of a comparison are not searched"),
    ],
)
def test_what_can_not_be_searched_is_refused_before_anything_is_trained(place, words, message):
    fixed = [w for w in ("task=arithmetic", "topology=chain") if w[:5] not in "".join(words)]
    assert message in refused("train", "-m", *fixed, *words, "--trials", 2)
    assert not files_below(place)


def test_runs_that_are_selected_by_other_metrics_are_not_compared(place, monkeypatch):
    monkeypatch.setattr(sn.tasks["swapped"], "monitor", "f1")
    message = refused(
        "train", "-m", "topology=chain", RATE, "task=arithmetic,swapped", "--trials", 2
    )
    assert "compared by one metric, got accuracy of arithmetic, f1 of swapped" in message


def test_the_number_of_trials_is_asked_for(place):
    assert "as in --trials 20" in refused(*WORDS)
    assert "at least 1, got '0'" in refused(*WORDS, "--trials", 0)
    assert "--trials is for a sweep" in refused("train", "--trials", 3)
    (place / "mine").mkdir()
    assert "--trials is for a search, which mine does not" in refused("train", "resume=mine",
                                                                      "--trials", 3)  # fmt: skip


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("trainer.learning_rate=interval(1e-4,1e-2)", Interval(1e-4, 1e-2, False, True)),
        ("trainer.learning_rate=interval(1e-3,9e-3)", Interval(1e-3, 9e-3, False, False)),
        ("trainer.learning_rate=tag(log,interval(1,2))", Interval(1, 2, False, True)),
        ("trainer.learning_rate=tag(linear,interval(1,20))", Interval(1, 20, False, False)),
        ("net.dropout=interval(0,0.5)", Interval(0, 0.5, False, False)),
        ("net.hidden_size=interval(16,256)", Interval(16, 256, True, True)),
        ("net.hidden_size=tag(linear,int(interval(16,256)))", Interval(16, 256, True, False)),
        ("cell=lstm,gru", ["gru", "lstm"]),
        ("net.hidden_size=choice(8,16)", ["16", "8"]),
        ("net.hidden_size=range(8,32,8)", ["16", "24", "8"]),
        ("seed=shuffle(3,1,2)", ["1", "2", "3"]),
        ("task.root=a,b", ["a", "b"]),
        ("trainer.max_epochs=3", ["3"]),
    ],
)
def test_words_say_what_is_chosen_from(word, expected):
    assert list(space([word]).values()) == [expected]


def test_numbers_are_of_four_digits_and_within_the_interval():
    interval = Interval(0.12344, 0.98766, False, False)
    assert [interval.text(value) for value in (0.12344, 0.5, 1 / 3, 0.98766)] == [
        "0.12344", "0.5", "0.3333", "0.98766",
    ]  # fmt: skip
    assert Interval(1, 9, True, False).text(3) == "3"


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on(place):
    """With training that is real: kill -9 in the middle, and all trials are there once."""
    import signal
    import subprocess
    import time

    small = ("task.digits=1", "task.train_size=20", "net.hidden_size=4", "net.embedding_size=4")
    words = (*WORDS, *small, "trainer.num_workers=0", "trainer.max_epochs=100")
    command = [sys.executable, "-m", "structnet.cli.main", *words, "--trials", "3", "--jobs", "2"]
    search = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 200
    while len(list(place.glob("mine/*/checkpoints/last.ckpt"))) < 2:
        assert search.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    os.kill(search.pid, signal.SIGKILL)
    search.wait()
    (file,) = [search.stdout]
    file.close()
    assert not list(place.glob("mine/*/metrics.json"))
    status, out, err = call("train", "resume=mine", "--jobs", 2)
    assert status == 0, err + out
    assert len(names("mine")) == 3 and len(list(place.glob("mine/*/metrics.json"))) >= 1
    logs = [one.read_text() for one in place.glob("mine/*/output.log")]
    # Both went on from their checkpoints.
    assert sum("stopped; go on with" in one for one in logs) == 2
    assert all(one.count("epoch 1/100 ") == 1 for one in logs)
