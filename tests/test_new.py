"""`structnet new plugin NAME`: what it refuses, what it writes, and that it works installed."""

import re
import subprocess
import sys
import tomllib
import venv
from importlib.util import find_spec
from pathlib import Path
from site import getsitepackages

import pytest
from commands import ROOT, call, files_below, refused

from structnet.cli.new import TEMPLATE

FILES = {
    "README.md", "pyproject.toml", "mine", "mine/__init__.py", "mine/cell.py", "mine/topology.py",
    "tests", "tests/test_mine.py",
}  # fmt: skip
TAKEN = '''\
import numpy as np

import structnet as sn


@sn.topologies.register("taken_topology")
class Taken(sn.Topology):
    """No predecessors."""

    def predecessors(self, structure):
        return np.full((structure, 1), -1)
'''
# What the house asks of its own files.
RULES = "E,F,I,UP,B,SIM,RUF,C4,PIE"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "write structnet new plugin NAME"),
        (["cell", "mine"], "no template 'cell' among ['plugin']; write structnet new plugin NAME"),
        (["plugin"], "none is given; write structnet new plugin NAME"),
        (["plugin", "mine", "yours"], "got 'mine', 'yours'"),
        (["plugin", "mine", "ot=there"], "no option 'ot=there' among ['out']"),
        (["plugin", "My-Cells"], "called 'My-Cells': .* write structnet new plugin my_cells"),
        (["plugin", "sub/mine"], "write structnet new plugin mine out=sub/mine"),
        (["plugin", "my-cells", "out=there"], "write structnet new plugin my_cells out=there"),
        (["plugin", "sub/mine", "out=x"], "write structnet new plugin mine out=x"),
        (["plugin", "mine", "out=taken.py/sub/mine"],
         "out=taken.py/sub/mine is below .*taken.py, which is no folder: write structnet new "),
        (["plugin", "mine", "out="], "out= takes a value"),
        (["plugin", "1st"], "a letter first and no _ last; write structnet new plugin my_plugin"),
        (["plugin", "mine_"], "write structnet new plugin mine"),
        (["plugin", "é"], "called 'é'"),
        (["plugin", "a" * 41], "at most 40 small letters"),
        (["plugin", "lambda"], "called 'lambda', which is a keyword of Python; write structnet new "
                               "plugin lambda_cells"),
        (["plugin", "structnet"], "which is the library's"),
        (["plugin", "tests"], "which is that of the folder of tests"),
        (["plugin", "json"], "there is a module 'json' already (.*json/__init__.py): take another"),
        (["plugin", "torch"], "there is a module 'torch' already"),
        (["plugin", "scikit_learn"], "there is a package scikit-learn .* already, which pip"),
        (["plugin", "taken", "--plugin", "taken.py"], "a topology 'taken_topology' already"),
    ],
)  # fmt: skip
def test_names_that_would_not_do_are_refused(place, words, said):
    (place / "taken.py").write_text(TAKEN)
    pattern = re.escape(said).replace(r"\.\*", ".*")
    assert re.search(pattern, refused("new", *words))
    assert files_below(place) - {"__pycache__"} == {"taken.py"}


@pytest.mark.parametrize("out", ["no/where/mine", "mine/", "my-cells", "~/mine"])
def test_a_folder_may_be_called_and_lie_as_one_likes(place, monkeypatch, out):
    monkeypatch.setenv("HOME", str(place / "home"))
    status, said, err = call("new", "plugin", "mine", f"out={out}")
    assert status == 0, err
    folder = Path(out).expanduser()
    assert said.startswith(f"plugin: {folder} ") and files_below(folder) == FILES


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_already_stays(place, kind):
    path = place / "mine"
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("kept")
    else:
        path.symlink_to("nowhere")
    said = refused("new", "plugin", "mine")
    assert said == (
        "mine is there already: remove it, or write structnet new plugin mine out=FOLDER with a "
        "folder that is new"
    )
    assert files_below(place) == {"mine"}
    assert call("new", "plugin", "mine", "out=there").status == 0


def test_nothing_half_written_is_left(place, monkeypatch):
    def stop(name, folder):
        (folder / "README.md").write_text("begun")
        raise OSError("the disk is full")

    monkeypatch.setattr("structnet.cli.new._write", stop)
    assert refused("new", "plugin", "mine") == "the disk is full"
    assert files_below(place) == set()


def test_a_package_is_written_and_what_to_type_next_is_printed(place):
    status, out, err = call("new", "plugin", "mine", "out=some where/mine")
    assert (status, err) == (0, "")
    folder = place / "some where" / "mine"
    assert files_below(folder) == FILES
    assert out.splitlines() == [
        "plugin: some where/mine (cell mine_cell, topology mine_topology)",
        "try next:",
        "  pip install -e './some where/mine[test]'",
        "  structnet list cell mine_cell",
        "  structnet train topology=mine_topology cell=mine_cell debug=steps",
        "  cd 'some where/mine' && pytest",
    ]
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert not any("NAME" in text for text in texts)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "mine" and project["dependencies"] == ["structnet"]
    assert project["entry-points"] == {"structnet.plugins": {"mine": "mine"}}
    commands = re.search(r"```bash\n(.*?)```", (folder / "README.md").read_text(), re.S)[1]
    assert len(commands.splitlines()) == 5 and "structnet check cell=mine_cell" in commands


def test_the_template_is_a_part_of_the_distribution_and_has_no_modules():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["structnet"]
    shipped = {path for pattern in patterns for path in (ROOT / "structnet").glob(pattern)}
    files = {path for path in TEMPLATE.rglob("*") if path.is_file()}
    assert files and files <= shipped
    assert all(path.suffix == ".in" for path in files)


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("name", ["a", "a" * 40])
@pytest.mark.parametrize("width", [88, 100])
def test_what_is_written_passes_ruff(name, width):
    assert call("new", "plugin", name).status == 0
    for words in (["check", "--select", RULES], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--isolated", f"--line-length={width}", "."],
            cwd=name, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def environment(folder):
    """The Python of a new environment, which has all that this one has."""
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = Path(folder, "lib", version, "site-packages")
    # As --system-site-packages would, were this environment the system.
    below = [f"import site; site.addsitedir({path!r})\n" for path in getsitepackages()]
    (packages / "below.pth").write_text("".join(below))
    return folder / "bin" / "python"


@pytest.mark.slow
def test_installed_it_is_listed_and_passes_its_tests(place):
    for needed in ("pip", "setuptools"):
        pytest.importorskip(needed)
    assert call("new", "plugin", "mine").status == 0
    python = environment(place / "venv")

    def run(*words, cwd=place):
        done = subprocess.run(
            [python, "-m", *words], cwd=cwd, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("pip", "install", "--no-deps", "--no-build-isolation", "-e", "mine")
    # In the folder around the package's, which has its name.
    out = run("structnet", "list", "cell", "--json")
    assert '"mine_cell": {' in out and '"keep": {' in out
    assert "period = 7 (int)" in run("structnet", "list", "topology", "mine_topology")
    passed = run("pytest", "-q", "-p", "no:cacheprovider", cwd=place / "mine")
    assert re.search(r"^8 passed", passed, re.M), passed
