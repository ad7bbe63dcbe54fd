"""Training for so many minutes, and figures over minutes."""

import json
import math
import shutil
from pathlib import Path

import pytest
from commands import SMALL, call, code_folder, logged, refused

from structnet.study.curves import draw_curves
from structnet.training.module import Module

WORDS = ("train", f"task.root={code_folder()}", *SMALL, "trainer.batch_nodes=64", "run=out",
         "trainer.max_epochs=50")  # fmt: skip


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """A step takes six seconds; the learning rates of all steps."""
    monkeypatch.chdir(tmp_path)
    before, started = [], Module.on_train_batch_start

    def wall_s(module):
        trainer = module._trainer
        return 6.0 * (0 if trainer is None else trainer.global_step)

    def noted(self, batch, batch_idx):
        started(self, batch, batch_idx)
        before.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    monkeypatch.setattr(Module, "wall_s", property(wall_s))
    monkeypatch.setattr(Module, "on_train_batch_start", noted)
    return before


def test_training_ends_after_its_minutes_with_the_learning_rate_falling_over_them(clock):
    status, _, err = call(*WORDS, "trainer.limit_minutes=0.95")
    assert (status, err) == (0, "")
    # The tenth step passes the 57 seconds; it is validated and tested as any last step.
    expected = [0.002 * (1 + math.cos(math.pi * 6 * step / 57)) for step in range(10)]
    assert clock == pytest.approx(expected)
    assert json.loads(Path("out/metrics.json").read_text())["train"]["steps"] == 10
    minutes, figures = (dict(logged(Path("out"), name)) for name in
                        ("minutes", "validation/accuracy"))  # fmt: skip
    assert minutes.keys() == figures.keys()
    assert list(minutes.values())[-1] == pytest.approx(1.0)


def test_a_run_goes_on_for_more_minutes_than_it_had(clock):
    assert call(*WORDS, "trainer.limit_minutes=0.55").status == 0
    assert len(clock) == 6
    message = refused("train", "resume=out", "trainer.limit_minutes=0.5")
    assert "for 0.6 minutes already; take trainer.limit_minutes=2 or more" in message
    status, _, err = call("train", "resume=out", "trainer.limit_minutes=1")
    assert (status, err) == (0, "") and len(clock) == 10


def test_the_older_name_of_the_limit_is_still_read(clock):
    assert call(*WORDS, "trainer.minutes=0.55").status == 0
    file = Path("out/config.yaml")
    text = file.read_text()
    assert "  limit_minutes: 0.55\n" in text
    file.write_text(text.replace("limit_minutes", "minutes"))
    assert "for 0.6 minutes already" in refused("train", "resume=out", "trainer.minutes=0.5")
    status, _, err = call("train", "resume=out", "trainer.limit_minutes=1")
    assert (status, err) == (0, "") and len(clock) == 10
    assert "  limit_minutes: 1.0\n" in file.read_text()


def test_the_older_name_is_read_in_a_users_file(clock):
    folder = Path("mine/experiment")
    folder.mkdir(parents=True)
    (folder / "short.yaml").write_text("# @package _global_\ntrainer:\n  minutes: 3\n")
    status, out, _ = call(*WORDS, "experiment=short", "--config-dir", "mine", "--cfg")
    assert status == 0 and "limit_minutes: 3\n" in out and " minutes:" not in out


def test_the_closer_limit_counts(clock):
    assert call(*WORDS, "trainer.limit_minutes=1", "trainer.max_steps=3").status == 0
    assert clock == pytest.approx([0.004, 0.003, 0.001])


def test_a_run_whose_minutes_are_not_known_is_left_out_of_the_picture(clock):
    assert call(*WORDS, "trainer.max_steps=3").status == 0
    shutil.copytree("out", "old")
    for file in Path("old/logs").rglob("metrics.csv"):
        file.write_text(file.read_text().replace("minutes", "hours"))
    monitors = {"code": ("accuracy", "max")}
    for name, rows in (("one", ["out"]), ("both", ["out", "old"]), ("none", ["old"])):
        runs = {("code", row, 0): Path(row) for row in rows}
        draw_curves(Path(f"{name}.png"), runs, monitors)
    one, both, none = (Path(f"{name}.png").read_bytes() for name in ("one", "both", "none"))
    assert one == both != none and one.startswith(b"\x89PNG")
