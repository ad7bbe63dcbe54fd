"""Several runs of a sweep at a time: processes that fail, are stopped, or lose their parent."""

import json
import os
import signal
import time

import pytest
from commands import call, call_anew, files_below, refused, run_python

from structnet.study.jobs import Jobs
from structnet.system.children import Child, stop

WORDS = ("train", "-m", "task=arithmetic", "topology=chain", "run=mine")
SMALL = (*WORDS, "task.digits=1", "task.train_size=20", "net.hidden_size=4",
         "net.embedding_size=4", "trainer.num_workers=0", "trainer.max_epochs=2")  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_as_many_runs_are_trained_at_a_time_as_asked(place, fake):
    fake("""
running = Path(f"running-{number}")
running.touch()
if number < 3:
    # Ends once the other one is there.
    wait_for(f"words-{3 - number}")
assert len(list(Path().glob("running-*"))) <= 2
time.sleep(0.2)
running.unlink()
finish(number / 10)
""")
    status, out, err = call(*WORDS, "seed=1,2,3,4,5", "--jobs", 2)
    assert status == 0, err + out
    assert "2 runs at a time on 1 core, with 1 thread each where trainer.threads is not" in out
    rows = [line for line in out.splitlines() if "/5  seed=" in line]
    assert len(rows) == 5
    (third,) = [row for row in rows if row.startswith("3/5")]
    assert third.split() == ["3/5", "seed=3", "accuracy", "0.3000", "1.0", "finished"]
    table = (place / "mine" / "table.md").read_text()
    assert "| seed=5 | 0.5000 | mine/5_seed-5 |" in table
    # The same again, and with another number of jobs, has nothing left to train.
    for file in place.glob("words-*"):
        file.unlink()
    assert call(*WORDS, "seed=1,2,3,4,5", "--jobs=3").status == 0
    assert call("train", "resume=mine", "--jobs", 2).status == 0
    assert call("train", "resume=mine").status == 0
    assert not list(place.glob("words-*"))


def test_a_child_has_the_words_of_its_run_and_its_share_of_threads(place, fake):
    (place / "mine.py").write_text("")
    (place / "configs").mkdir()
    fake("""
Path(f"threads-{number}").write_text(os.environ["OMP_NUM_THREADS"])
finish(0.5)
""")
    flags = ("--config-dir", "configs", "--plugin", "mine.py", "--jobs", 2)
    assert call(*WORDS, "seed=1,2", *flags).status == 0
    words = json.loads((place / "words-2").read_text())
    assert words == ["train", "task=arithmetic", "topology=chain", "run=mine", "seed=2",
                     "run=mine/2_seed-2", "--config-dir", "configs", "--plugin",
                     "mine.py"]  # fmt: skip
    assert (place / "threads-1").read_text() == "1"


@pytest.mark.parametrize(
    ("cores", "most", "count", "threads"),
    [(16, 16, 4, 3), (16, 2, 4, 2), (2, 2, 2, 1), (2, 2, 8, 1), (8, 8, 1, 7)],
)
def test_threads_are_shared_out(monkeypatch, cores, most, count, threads):
    monkeypatch.setattr("structnet.study.jobs.usable_cores", lambda: cores)
    monkeypatch.setattr("torch.get_num_threads", lambda: most)
    assert Jobs(count).threads == threads


def test_a_run_that_fails_does_not_end_the_others(place, fake):
    fake("""
if "resume" in given:
    finish(0.9)
elif number == 1:
    print("structnet: error: no luck\\n  at all", file=sys.stderr)
    sys.exit(2)
elif number == 2:
    (place / "checkpoints").mkdir()
    (place / "checkpoints" / "last.ckpt").touch()
    os.kill(os.getpid(), signal.SIGKILL)
else:
    finish(0.3)
""")
    status, out, _ = call(*WORDS, "seed=1,2,3", "--jobs", 2)
    assert status == 1
    end = out[out.rindex("directory") :]
    assert "failed: seed=1: no luck; its output: mine/1_seed-1/output.log" in end
    assert "failed: seed=2: ended by signal 9 (Killed); its output: mine/2_seed-2/output.log" in end
    assert "2 of 3 failed; again with: structnet train resume=mine --jobs 2" in end
    assert "at all" in (place / "mine" / "1_seed-1" / "output.log").read_text()
    # Only those that failed are trained again, from a checkpoint where there is one.
    (place / "words-3").unlink()
    status, out, _ = call("train", "resume=mine", "--jobs", 2)
    assert status == 1 and out.count("finished") == 2 and not (place / "words-3").exists()
    assert json.loads((place / "words-2").read_text()) == ["train", "resume=mine/2_seed-2"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_a_signal_stops_all_children_and_says_how_to_go_on(place, fake, number):
    fake(f"""
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    Path(f"pid-{{number}}").write_text(str(os.getpid()))
    wait_for(f"pid-{{3 - number}}")
    if number == 1:
        os.kill(os.getppid(), {int(number)})
    time.sleep(60)
except KeyboardInterrupt:
    Path(f"cleaned-{{number}}").touch()
    sys.exit(143)
""")
    status, _, err = call(*WORDS, "seed=1,2,3", "--jobs", 2)
    assert status == 128 + number
    assert err == "stopped; go on with: structnet train resume=mine --jobs 2\n"
    for one in (1, 2):
        with pytest.raises(ProcessLookupError):
            os.kill(int((place / f"pid-{one}").read_text()), 0)
    assert (place / "cleaned-2").exists() and not (place / "words-3").exists()
    fake("finish(0.5)")
    assert call("train", "resume=mine", "--jobs", 2).status == 0


def test_a_child_whose_parent_is_killed_ends(place):
    (place / "waiting.py").write_text("""
import os, signal, time
from pathlib import Path

def stop(*given):
    Path("ended").touch()
    os._exit(0)

signal.signal(signal.SIGTERM, stop)
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(60)
""")
    source = """
from pathlib import Path
from structnet.system.children import Child
Child("waiting", [], Path("output.log"), {}).end()
"""
    done = run_python("-c", source, cwd=place, PYTHONPATH=str(place))
    assert done.returncode == -signal.SIGKILL
    until = time.monotonic() + 30
    while not (place / "ended").exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_child_that_does_not_end_is_killed(place, monkeypatch):
    (place / "stubborn.py").write_text("""
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("begun", flush=True)
time.sleep(60)
""")
    monkeypatch.setattr("structnet.system.children.GRACE_S", 0.1)
    output = place / "output.log"
    child = Child("stubborn", [], output, {"PYTHONPATH": str(place)})
    until = time.monotonic() + 30
    while "begun" not in output.read_text():
        assert time.monotonic() < until
        time.sleep(0.01)
    stop([child])
    assert child.failure() == f"ended by signal 9 (Killed); its output: {output}"


def test_the_failure_is_of_this_time(place):
    """Output is appended: what a run said that was resumed is no reason of the next failure."""
    (place / "quiet.py").write_text("raise SystemExit(3)")
    output = place / "output.log"
    output.write_text("structnet: error: of the time before\n")
    child = Child("quiet", [], output, {"PYTHONPATH": str(place)})
    assert child.failure() == f"exit status 3; its output: {output}"
    child.end()


def test_a_file_in_the_working_directory_is_no_module_of_a_child(place):
    (place / "random.py").write_text("raise SystemExit(3)")
    child = Child("structnet.cli.main", ["--version"], place / "output.log", {})
    child.end()
    assert child.failure() is None
    assert (place / "output.log").read_text().startswith("structnet ")


def test_output_is_not_written_to_where_a_link_leads(place, fake):
    fake("finish(0.5)")
    precious = place / "precious"
    precious.write_text("mine")
    (place / "mine" / "1_seed-1").mkdir(parents=True)
    (place / "mine" / "1_seed-1" / "output.log").symlink_to(precious)
    runs = [{"words": ["task=arithmetic", "topology=chain", f"seed={n}"],
             "run": f"mine/{n}_seed-{n}"} for n in (1, 2)]  # fmt: skip
    (place / "mine" / "sweep.json").write_text(json.dumps({"folders": [], "runs": runs}))
    status, out, _ = call("train", "resume=mine", "--jobs", 2)
    assert status == 1 and "1 of 2 failed" in out
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--jobs", "2"), "--jobs is for a sweep: structnet train -m ... --jobs 2"),
        (("-m", "seed=1,2", "--jobs", "0"), "at least 1, got '0'; for example: --jobs 2"),
        (("-m", "seed=1,2", "--jobs", "-1"), "at least 1, got '-1'; for example: --jobs 2"),
        (("-m", "seed=1,2", "--jobs=two"), "at least 1, got 'two'; for example: --jobs 2"),
        (("-m", "seed=1,2", "--jobs"), "--jobs takes a value"),
        (("resume=run", "--jobs", "2"), "--jobs is for a sweep, which run does not hold"),
        (
            ("-m", "experiment=cell_comparison", "--jobs", "2"),
            "sweep of single runs, not of comparisons",
        ),
    ],
)
def test_a_number_of_jobs_that_makes_no_sense_is_refused(place, words, message):
    assert message in refused("train", *words)
    assert not files_below(place)


@pytest.mark.slow
def test_a_run_gives_what_it_gives_by_itself(place):
    words = (*SMALL, "net.dropout=0.1", "cell=gru,elman")
    status, out, err = call(*words, "--jobs", 2)
    assert status == 0, err + out
    alone = [*SMALL[2:4], *SMALL[5:], "net.dropout=0.1", "cell=gru", "run=alone"]
    assert call_anew("train", *alone, cwd=place).status == 0
    weights, figures = (
        [(place / one / name).read_bytes() for one in ("mine/1_cell-gru", "alone")]
        for name in ("model.safetensors", "metrics.json")
    )
    assert weights[0] == weights[1]
    found, expected = map(json.loads, figures)
    assert all(found[part] == expected[part] for part in ("test", "validation", "baselines"))
    assert "epoch 2/2" in (place / "mine" / "1_cell-gru" / "output.log").read_text()
