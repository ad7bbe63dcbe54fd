"""The levels of a compiled pass in C++: they are run there, and are what Python makes of them."""

import subprocess
import sys

import pytest
import torch
from conftest import assert_same, everything, features
from test_compiled import Affine, assert_compiled_is_reference, built
from torch import nn

from structnet.execute.compiled import known, linking, native, part, recording, spans, stepping

# What the tests of this file compile is compiled once.
PROGRAMS = {}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(spans, "CHUNK", 4)
    monkeypatch.setattr(spans, "_tables", {})
    monkeypatch.setattr(known, "_programs", PROGRAMS)


@pytest.fixture
def never_python(monkeypatch):
    def refuse(*given, **options):
        raise AssertionError("levels were run from Python")

    monkeypatch.setattr(stepping.Stepping, "forward", refuse)
    monkeypatch.setattr(stepping.Stepping, "backward", refuse)


class Sorted(nn.Module):
    """A step of which a part is a function of torch that Inductor calls."""

    def __init__(self, input_size, hidden_size, arity):
        super().__init__()
        self.state_sizes = (hidden_size,)
        self.project = nn.Linear(input_size, hidden_size)

    def forward(self, z, h):
        return torch.sort(z + h.sum(1), dim=1).values.tanh()


COMPILED = [
    ("chain", "gru", {"reset": "before"}),
    pytest.param("tree", "lstm", {"peephole": True}, marks=pytest.mark.slow),
    pytest.param("any_dag", "lstm", {"layer_norm": True}, marks=pytest.mark.slow),
    pytest.param("any_dag", "mut1", {}, marks=pytest.mark.slow),
    pytest.param("tree", "mlstm", {}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "cell", "options"), COMPILED)
def test_levels_in_cpp_are_the_reference(never_python, name, cell, options):
    layer, plans = built(name, cell, hidden_size=19, **options)
    assert_compiled_is_reference(layer, plans)


@pytest.mark.slow
def test_a_cell_of_a_user_runs_in_cpp_too(never_python):
    layer, plans = built("tree", Affine, hidden_size=17, dtype=torch.float32)
    assert_compiled_is_reference(layer, plans, 1e-5, torch.float32)


def test_levels_from_python_have_the_same_bits(monkeypatch):
    layer, plans = built("chain", "gru", hidden_size=19, reset="before")
    x = features(plans)
    found = everything(layer, x, plans, executor="compiled")
    monkeypatch.setattr(part, "recipe_of", lambda program: None)
    expected = everything(layer, x, plans, executor="compiled")
    assert_same(found, expected, 1e-14)


@pytest.mark.slow
def test_what_calls_functions_of_torch_runs_from_python(monkeypatch):
    layer, plans = built("tree", Sorted)
    assert_compiled_is_reference(layer, plans)
    programs = [one for key, one in PROGRAMS.items() if key[0] is Sorted]
    assert programs and all(native.recipe_of(one) is None for one in programs)


@pytest.mark.slow
def test_a_step_is_compiled_by_one_call_of_the_compiler(never_python, monkeypatch):
    loaded, load = [], linking._load
    monkeypatch.setattr(linking, "_load", lambda text: loaded.append(text) or load(text))
    monkeypatch.setattr(known, "_programs", {})
    layer, plans = built("tree", "elman", hidden_size=5)
    everything(layer, features(plans), plans, executor="compiled")
    assert len(known._programs) == 2 and len(loaded) == 1


@pytest.mark.slow
def test_what_can_not_be_compiled_together_runs_from_python(monkeypatch):
    def refuse(text):
        raise recording.Unknown("two of one name")

    monkeypatch.setattr(linking, "_load", refuse)
    monkeypatch.setattr(known, "_programs", {})
    layer, plans = built("chain", "elman", hidden_size=5)
    assert_compiled_is_reference(layer, plans)
    assert all(native.recipe_of(one) is None for one in known._programs.values())


def test_threads_change_nothing_but_the_last_digits(never_python, monkeypatch):
    monkeypatch.setattr(native, "ONE_THREAD", 0)
    layer, plans = built("chain", "gru", hidden_size=19, reset="before")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_compiled_is_reference(layer, plans)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_small_level_is_computed_by_one_thread_and_the_number_stays(never_python):
    layer, plans = built("chain", "gru", hidden_size=19, reset="before")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, second = (
            everything(layer, features(plans), plans, executor="compiled") for _ in range(2)
        )
        assert_same(first, second, 0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_changed_cell_is_compiled_anew_and_an_equal_one_is_not(traced):
    layer, plans = built("chain", "elman")
    cell = layer.cells[0]
    layer(features(plans), plans, executor="compiled")
    first = known.known(cell)
    assert known.known(cell) is first
    for change in (
        lambda: setattr(cell, "nonlinearity", "relu"),
        lambda: cell.recurrent.requires_grad_(False),
        lambda: setattr(cell, "extra", [1]),
        lambda: cell.extra.append(2),
        lambda: cell.register_buffer("shift", torch.zeros(1)),
    ):
        change()
        assert known.known(cell) is not first
        first = known.known(cell)
    assert_compiled_is_reference(layer, plans)


CODE = """
import torch, structnet as sn
torch.manual_seed(0)
layer = sn.RNN("elman", 3, 4, executor="compiled", nonlinearity="relu")
x = torch.ones(5, 2, 3, requires_grad=True)
layer(x)[0].sum().backward()
print(x.grad.sum().item())
"""


def cache_of(place):
    folders = dict.fromkeys(("TORCHINDUCTOR_CACHE_DIR", "STRUCTNET_CACHE"), str(place))
    return {**folders, "PATH": "/usr/bin:/bin"}


@pytest.mark.slow
def test_two_processes_may_compile_at_once_and_a_damaged_file_is_made_anew(tmp_path):
    def start():
        return subprocess.Popen(
            [sys.executable, "-c", CODE], env=cache_of(tmp_path), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    both = [start() for _ in range(2)]
    said = [one.communicate() for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    damaged = [one for one in tmp_path.rglob("*.so") if b"run_levels" in one.read_bytes()]
    assert damaged
    for one in damaged:
        one.write_bytes(b"\x7fELF")
    again = start()
    out, err = again.communicate()
    assert (again.returncode, out, err) == (0, said[0][0], "")
