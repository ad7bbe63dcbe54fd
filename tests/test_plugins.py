"""A second distribution, installed into a path of its own."""

import json

import pytest
import yaml
from commands import SMALL, call_anew, code_folder

SOURCE = '''\
"""Components of a stranger."""

import numpy as np

import structnet as sn


@sn.topologies.register("skipping")
class Skipping(sn.Topology):
    """A sequence that skips steps."""

    takes = "sequence"

    def __init__(self, *, stride: int = 2):
        self.stride = stride

    def predecessors(self, structure):
        return np.maximum(np.arange(structure) - self.stride, -1)[:, None]


@sn.cells.register("echo")
class Echo(sn.Cell):
    """What was heard before, fainter."""

    node_gates = ("u",)

    def __init__(self, input_size, hidden_size, arity, *, gain: float = 0.5, loud: bool = False):
        super().__init__(input_size, hidden_size, arity)
        self.gain = 2 * gain if loud else gain

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return u.tanh() + self.gain * h.mean(1)
'''


def install(folder, source=SOURCE, name="stranger"):
    """A distribution of one module, as an installer leaves it."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    about = folder / f"{name}-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(f"[structnet.plugins]\nmine = {name}\n")
    (about / "RECORD").write_text("")
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return install(tmp_path_factory.mktemp("installed"))


def test_its_components_are_listed_with_all_options(installed):
    status, out, err = call_anew("list", "--json", **installed)
    assert (status, err) == (0, "")
    listed = json.loads(out)
    assert listed["topologies"]["skipping"] == {
        "doc": "A sequence that skips steps.",
        "options": {"stride": {"type": "int", "default": 2}},
    }
    assert listed["cells"]["echo"] == {
        "doc": "What was heard before, fainter.",
        "options": {
            "gain": {"type": "float", "default": 0.5},
            "loud": {"type": "bool", "default": False},
        },
    }
    assert {"lstm", "gru", "elman"} <= set(listed["cells"])


@pytest.mark.slow
def test_its_components_train_from_the_command_line_and_are_missed_without_it(installed, tmp_path):
    words = ("topology=skipping", "topology.stride=3", "cell=echo", "cell.gain=0.25",
             "cell.loud=true", "debug=steps", "run=out")  # fmt: skip
    root = f"task.root={code_folder()}"
    status, _, err = call_anew("train", root, *SMALL, *words, cwd=tmp_path, **installed)
    assert (status, err) == (0, "")
    config = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert config["topology"] == {"name": "skipping", "stride": 3}
    assert config["cell"] == {"name": "echo", "gain": 0.25, "loud": True}
    # Uninstalled, it is missed by name.
    status, _, err = call_anew("test", "run=out", cwd=tmp_path)
    assert status == 2 and "no topology 'skipping'" in err


@pytest.mark.parametrize(
    ("name", "old", "new", "fragments"),
    [
        ("broken", SOURCE, "import nowhere_to_be_found\n",
         ["'mine'", "ModuleNotFoundError", "nowhere_to_be_found"]),
        ("taking", 'register("echo")', 'register("lstm")',
         ["two cells named 'lstm'", "structnet.cell.library.lstm.LSTM", "taking.Echo"]),
        ("fancy", "gain: float = 0.5", "gain: list = [0.5]",
         ["'gain'", "cell 'echo'", "the type list and the default [0.5]"]),
        ("leaving", SOURCE, "raise SystemExit(0)\n", ["SystemExit: 0"]),
    ],
)  # fmt: skip
def test_one_that_fails_is_named_with_its_distribution_and_all_else_works(
    tmp_path, name, old, new, fragments
):
    environment = install(tmp_path, SOURCE.replace(old, new), name=name)
    status, out, err = call_anew("list", "cell", "--json", **environment)
    assert status == 0 and {"lstm", "gru"} <= set(json.loads(out)["cells"])
    for fragment in (f"{name} 1.2", *fragments):
        assert fragment in err
    assert err.count("\n") == 1 and "Traceback" not in err
