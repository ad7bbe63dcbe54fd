"""The command line called in this process, and small data to call it on."""

import atexit
import csv
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from structnet import registry
from structnet.cli.main import main
from structnet.registry import plugin

ROOT = Path(__file__).parents[1]
DATA = os.environ.get("STRUCTNET_DATA")
SST = Path(DATA or "nowhere", "sst", "trees")
needs_sst = pytest.mark.skipif(
    not (SST / "train.txt").is_file(),
    reason="STRUCTNET_DATA names no folder with sst/trees/train.txt",
)
# The smallest net, and no workers to start.
SMALL = (
    "net.embedding_size=4",
    "net.hidden_size=4",
    "trainer.num_workers=0",
    "trainer.accelerator=cpu",
    "trainer.batch_nodes=512",
)
NAMES = ("width", "height", "count", "total", "start_index", "lineSize", "max_depth", "rows")
WORDS = ("a", "good", "bad", "film", "very", "plot", "dull", "bright")


class Result(NamedTuple):
    status: int
    out: str
    err: str


def call(*words: object) -> Result:
    """`structnet WORDS`, in this process; what it registers is forgotten afterwards."""
    out, err = io.StringIO(), io.StringIO()
    with isolated(), redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        warnings.filterwarnings("always", "skipped", UserWarning)
        status = main([str(word) for word in words])
    return Result(status, out.getvalue(), err.getvalue())


def call_anew(*words: object, cwd: Path | None = None, **environment: str) -> Result:
    """`structnet WORDS` in a process of its own."""
    done = run_python("-m", "structnet.cli.main", *words, cwd=cwd, **environment)
    return Result(done.returncode, done.stdout, done.stderr)


def run_python(*words: object, cwd: Path | None = None, **environment: str):
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def refused(*words: object) -> str:
    """The message of a call that is refused with status 2, in lines that begin as errors do."""
    status, _, err = call(*words)
    assert status == 2, err
    assert err.startswith("structnet: error: "), err
    assert "Traceback" not in err
    return err.removeprefix("structnet: error: ").strip()


@contextmanager
def isolated() -> Iterator[None]:
    """One thread; registries, Hydra's store and the environment are put back at the end."""
    from hydra.core.config_store import ConfigStore

    # Registers all that is built in, which then stays.
    import structnet.config.composing  # noqa: F401

    kinds = registry.KINDS
    for kind in kinds:
        kind.names()
    registered = [(dict(kind._components), dict(kind._owners)) for kind in kinds]
    plugins = list(plugin._known)
    store, environment = ConfigStore.instance().repo, dict(os.environ)
    stored = [dict(store.get(kind.kind, {})) for kind in kinds]
    try:
        with pytest.MonkeyPatch.context() as patch:
            if hasattr(os, "sched_getaffinity"):
                patch.setattr(os, "sched_getaffinity", lambda process: {0})
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        plugin._known[:] = plugins
        for kind, (components, owners), options in zip(kinds, registered, stored, strict=True):
            kind._components.clear()
            kind._components.update(components)
            kind._owners.clear()
            kind._owners.update(owners)
            store[kind.kind] = options


def write_code(folder: Path, files: int = 12, lines: int = 15) -> Path:
    """Python files of operations, comparisons and calls, whose operands have an order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        draw = random.Random(number)
        text = [f"def work({', '.join(NAMES)}):"]
        for _ in range(lines):
            a, b, c = draw.sample(NAMES, 3)
            statements = (
                f"{a} = {b} - {draw.randint(1, 9)}",
                f"if {a} < len({b}): {c} = {a} % 2",
                f"{a} = min({b}, {c} - 1)",
                f"setattr({a}, 'name_{b}', {c})",
            )
            text.append("    " + draw.choice(statements))
        (folder / f"part_{number}.py").write_text("\n".join(text) + "\n")
    return folder


def write_sst(folder: Path, train: int = 31, dev: int = 8, test: int = 8) -> Path:
    """A treebank of small binary trees, all five labels among them."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    for name, count in (("train", train), ("dev", dev), ("test", test)):
        trees = (_bracketed(draw, size, size % 5) for size in range(1, count + 1))
        (folder / f"{name}.txt").write_text("".join(f"{tree}\n" for tree in trees))
    return folder


def _bracketed(draw: random.Random, leaves: int, label: int) -> str:
    parts = [f"({draw.randrange(5)} {draw.choice(WORDS)})" for _ in range(1 + leaves % 7)]
    while len(parts) > 1:
        at = draw.randrange(len(parts) - 1)
        parts[at : at + 2] = [f"({draw.randrange(5)} {parts[at]} {parts[at + 1]})"]
    return f"({label}{parts[0][2:]}"


@cache
def code_folder() -> Path:
    """A folder of Python files that no test writes to."""
    return write_code(_kept() / "code")


@cache
def trained() -> Path:
    """A run of two epochs on `code_folder()` that no test writes to."""
    directory = _kept() / "run"
    words = ("train", f"task.root={code_folder()}", f"run={directory}", *SMALL)
    status, _, err = call(*words, "trainer.max_epochs=2")
    assert status == 0, err
    return directory


# The smallest net that draws images.
PIXELS = (
    "task=digits",
    "task.train_size=64",
    "topology=diagonal",
    "net=pixelrnn",
    "net.hidden_size=4",
    "net.num_layers=1",
    "net.first_kernel=3",
    "trainer.num_workers=0",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=1",
)


@cache
def trained_on_pixels(*words: str) -> Path:
    """A run of one epoch that can draw, and that no test writes to."""
    directory = _kept() / "-".join(["pixels", *words]).replace("=", "-")
    status, _, err = call("train", *PIXELS, *words, f"run={directory}")
    assert status == 0, err
    return directory


def copy_of_trained(folder: Path) -> Path:
    return Path(shutil.copytree(trained(), folder / "copied"))


@cache
def _kept() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="structnet-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def opened(directory: Path | str):
    """The run that a directory holds."""
    from structnet.config.composing import saved
    from structnet.run.run import Run

    return Run.compose(saved(str(directory)), Path(directory))


def check_composed(config: dict) -> None:
    """Refuse what would fail in training, where the data is on this machine.

    A comparison has several nets, which are left out.
    """
    from structnet.run.run import Run

    if "compare" not in config:
        with suppress(FileNotFoundError):
            Run.compose(config, Path()).check()


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def logged(run: Path, name: str) -> list[tuple[int, float]]:
    """(step, value) of every logged value of a run, stretch by stretch."""
    rows = []
    for version in sorted((run / "logs").glob("version_*")):
        with (version / "metrics.csv").open(newline="") as file:
            rows += [(int(row["step"]), float(row[name])) for row in csv.DictReader(file)
                     if row.get(name)]  # fmt: skip
    return rows
