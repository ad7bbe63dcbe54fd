"""Settings, and the structures and comparisons that the tests share.

A topology that is registered is tested on the structures of its `takes`; a cell, on every topology.
"""

import os
from weakref import WeakKeyDictionary

import networkx as nx
import numpy as np
import pytest
import torch
from equations import load_equations
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from quick import QUICK
from torch.utils._python_dispatch import TorchDispatchMode

import structnet as sn
from structnet.execute.executor import Pass, Spec, find

# Triton, where it is installed, has to know before it is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
# Nothing is kept in the home of whoever runs the tests.
os.environ["STRUCTNET_CACHE"] = ""
torch.set_num_threads(1)
settings.register_profile(
    "structnet",
    deadline=None,
    max_examples=20,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
# pytest --hypothesis-profile=random --hypothesis-seed=N: other examples than every day's.
settings.register_profile("random", settings.get_profile("structnet"), derandomize=False)
settings.load_profile("structnet")

SEEDS = st.integers(0, 2**32 - 1)
# What a topology is configured with, where its defaults are not all there is to it.
VARIANTS = {
    "tree": [
        {"arity": arity, "direction": direction}
        for arity in (2, None, 3)
        for direction in ("up", "down", "both")
    ]
}


@sn.topologies.register("any_dag")
class AnyDag(sn.Topology):
    """Any number of predecessors. Structure: the list of every node's predecessors."""

    takes = "dag"
    arity = None

    def predecessors(self, structure):
        pairs = [(u, v) for v, before in enumerate(structure) for u in before]
        return sn.Edges(np.array(pairs, np.int64).reshape(-1, 2).T, len(structure))


@sn.topologies.register("slotted_dag")
class SlottedDag(sn.Topology):
    """Three slots, the first ones empty. Structure: the list of every node's predecessors."""

    takes = "dag"
    arity = 3

    def predecessors(self, structure):
        return table_of(structure, 3)


def table_of(before, slots):
    """The table of predecessor lists; the first slots of a node stay empty."""
    return np.array([[-1] * (slots - len(some)) + list(some) for some in before], np.int64).reshape(
        -1, slots
    )


@st.composite
def dags(draw, max_nodes=8, max_before=3):
    """The predecessors of every node of a DAG, node ids in any order; parallel edges too."""
    size = draw(st.integers(1, max_nodes))
    ids = draw(st.permutations(range(size)))
    before = [[] for _ in ids]
    for place, node in enumerate(ids):
        if place:
            earlier = st.sampled_from(ids[:place])
            before[node] = draw(st.lists(earlier, max_size=max_before))
    return before


@st.composite
def trees(draw, max_children=3, max_nodes=9):
    """The child table of a tree, node ids in any order, slots empty anywhere."""
    size = draw(st.integers(1, max_nodes))
    ids = draw(st.permutations(range(size)))
    children = np.full((size, max_children), -1)
    for place in range(1, size):
        free = np.argwhere(children[ids[:place]] < 0)
        above, slot = free[draw(st.integers(0, len(free) - 1))]
        children[ids[above], slot] = ids[place]
    return children


def lengths():
    return st.integers(1, 7)


@st.composite
def graph_data(draw):
    from torch_geometric.data import Data

    before = draw(dags())
    pairs = [(u, v) for v, some in enumerate(before) for u in some]
    return Data(edge_index=torch.tensor(pairs).reshape(-1, 2).T.long(), num_nodes=len(before))


@st.composite
def undirected(draw, max_nodes=8):
    """An undirected graph with scores, some of them equal; every edge in both directions."""
    before = draw(dags(max_nodes))
    pairs = [(u, v) for v, some in enumerate(before) for u in some]
    pairs = draw(st.permutations([*pairs, *((v, u) for u, v in pairs)]))
    score = draw(st.lists(st.integers(0, 3), min_size=len(before), max_size=len(before)))
    index = np.array(pairs, np.int64).reshape(-1, 2).T
    return sn.Edges(index, len(before), np.array(score, np.float64))


STRUCTURES = {
    "sequence": lambda topology: lengths(),
    "tree": lambda topology: trees(topology.arity or 4),
    "grid": lambda topology: st.tuples(st.integers(1, 3), st.integers(1, 4)),
    "graph": lambda topology: graph_data(),
    "undirected": lambda topology: undirected(),
    "dag": lambda topology: dags(),
}


def batches(topology, max_samples=4):
    """A strategy: the structures of a batch."""
    return st.lists(STRUCTURES[topology.takes](topology), min_size=1, max_size=max_samples)


def create_topologies():
    """Every registered topology in all variants, as parameters of a test."""
    for name in sn.topologies.names():
        for options in VARIANTS.get(name, [{}]):
            label = "-".join([name, *(str(value) for value in options.values())])
            yield pytest.param(sn.topologies.create(name, **options), id=label)


def create_cells():
    """(name, options) of every registered cell, as parameters of a test."""
    variants = [(name, options) for name, options, _ in load_equations()]
    plain = [(name, {}) for name in sn.cells.names() if name not in dict(variants)]
    for name, options in variants + plain:
        yield pytest.param((name, options), id="-".join([name, *map(str, options.values())]))


def create_kinds():
    """One topology for each arity with and without initial states, as parameters of a test."""
    found = {}
    for one in create_topologies():
        (topology,) = one.values
        found.setdefault((topology.arities[0], topology.num_initial), one)
    return found.values()


def pairs(name, others):
    """Every topology with every other parameter, one pair in four for every day, the rest slow.

    Among the pairs of every day are every topology, and every other parameter several times.
    """
    found, others = [], list(others)
    for row, one in enumerate(create_topologies()):
        for column, other in enumerate(others):
            marks = [] if (row + column) % 4 == 0 else [pytest.mark.slow]
            other = other if hasattr(other, "values") else pytest.param(other, id=str(other))
            ids = "-".join(map(str, (one.id, other.id)))
            found.append(pytest.param(*one.values, *other.values, id=ids, marks=marks))
    return pytest.mark.parametrize(("topology", name), found)


every_kind = pytest.mark.parametrize("topology", list(create_kinds()))
every_topology = pytest.mark.parametrize("topology", list(create_topologies()))
every_cell = pytest.mark.parametrize("cell", list(create_cells()))


def random_tree(size, rng):
    """The child table of a binary tree, grown at random; node 0 is the root."""
    children = np.full((size, 2), -1)
    free = [(0, 0), (0, 1)]
    for node in range(1, size):
        above, slot = free.pop(rng.integers(len(free)))
        children[above, slot] = node
        free += [(node, 0), (node, 1)]
    return children


def graphs_of(topology, structures):
    """One networkx graph a direction: who comes directly before whom, in the whole batch."""
    graphs = [nx.MultiDiGraph() for _ in topology.directions]
    first = 0
    for structure in structures:
        found = topology.predecessors(structure)
        for graph, one in zip(graphs, found if len(graphs) > 1 else (found,), strict=True):
            if isinstance(one, sn.Edges):
                size, pairs = one.num_nodes, np.asarray(one.index).T.tolist()
            else:
                size = len(one)
                pairs = [(u, v) for v, row in enumerate(one) for u in row]
            graph.add_nodes_from(range(first, first + size))
            graph.add_edges_from((first + u, first + v) for u, v in pairs if 0 <= u < size)
        first += size
    return graphs


def randomise(module, seed=0, scale=0.7):
    """Random values for every parameter, biases included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(scale * noise)
    return module


def recurrence(topology, cell, input_size=3, hidden_size=2, seed=0, dtype=torch.float64, **options):
    """A Recurrence with random parameters."""
    if isinstance(cell, tuple):
        cell, options = cell
    layer = sn.Recurrence(topology, cell, input_size, hidden_size, **options)
    return randomise(layer.to(dtype), seed)


def features(plans, size=3, seed=1, dtype=torch.float64):
    """Random inputs for the nodes of the plans."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(plans[0].num_nodes, size, generator=generator, dtype=torch.float64)
    return x.to(dtype).requires_grad_()


def initial_states(layer, plans, seed=2, dtype=torch.float64):
    """Random initial states, None where the plans have none."""
    count = plans[0].num_initial
    if not count:
        return None
    generator = torch.Generator().manual_seed(seed)
    shapes = [(count, len(plans) * size) for size in layer.cells[0].state_sizes]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in shapes
    ]


class Found(dict):
    """Name -> value of what was computed from inputs, and how well they determine it.

    `compute()` gives the values again, from the `inputs` (name -> tensor) as they are then.
    """

    def __init__(self, compute, inputs):
        self.rng_state = torch.get_rng_state()
        super().__init__(compute())
        self.compute = compute
        self.inputs = inputs

    def rounding(self):
        """Name -> how far a value moves where every entry of every input is rounded once.

        The worst of four draws. Entries are moved by 2^11 roundoffs, up or down, and the
        movement divided by as much: it is then the condition's, not that of roundings on the way.
        """
        kept = {name: value.detach().clone() for name, value in self.inputs.items()}
        worst = dict.fromkeys(self, 0.0)
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            for name, value in kept.items():
                up = torch.randint(2, value.shape, generator=generator).to(value) * 2 - 1
                self._put(name, value + value * up * 2**11 * torch.finfo(value.dtype).eps / 2)
            with torch.random.fork_rng(devices=()):
                torch.set_rng_state(self.rng_state)
                moved = self.compute()
            for name, value in self.items():
                worst[name] = max(worst[name], largest(moved[name] - value) / 2**11)
        for name, value in kept.items():
            self._put(name, value)
        return worst

    @torch.no_grad()
    def _put(self, name, value):
        self.inputs[name].copy_(value)


def everything(layer, x, plans, initial=None, executor=None, output_alone=False):
    """Name -> output, states and the gradients of a random function of all, or of the output."""
    inputs = {"x": x, **dict(layer.named_parameters())}
    inputs.update({f"initial {i}": state for i, state in enumerate(initial or ())})

    def compute():
        h, states = layer(x, plans, initial=initial, return_states=True, executor=executor)
        grads = gradients_of((h,) if output_alone else (h, *states), inputs)
        outputs = {f"state {i}": state.detach() for i, state in enumerate(states)}
        return {"output": h.detach(), **outputs, **grads}

    return Found(compute, inputs)


def gradients_of(values, inputs):
    """Name -> the gradient of a random function of the values, zero where there is none."""
    generator = torch.Generator().manual_seed(3)
    loss = sum(
        (value * torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)).sum()
        for value in values
    )
    inputs = {name: value for name, value in inputs.items() if value.requires_grad}
    found = (None,) * len(inputs)
    if loss.requires_grad:
        found = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True)
    return {
        f"gradient of {name}": torch.zeros_like(value) if grad is None else grad
        for (name, value), grad in zip(inputs.items(), found, strict=True)
    }


# Roundings of its inputs that a computation may be off by: it rounds at every step on the way.
ROUNDINGS = 64


def assert_same(found, expected, tolerance=1e-12):
    """Equal up to `tolerance` times the largest entry; dicts and sequences entry by entry.

    What `everything` found may differ by as much as `ROUNDINGS` of its inputs would move it, where
    that is more: an ill-conditioned value has fewer digits, and which is the processor's choice.
    """
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        off = {name: error_of(name, found[name], expected[name]) for name in expected}
        bounds = dict.fromkeys(expected, tolerance)
        if isinstance(expected, Found) and not all(error <= tolerance for error in off.values()):
            for name, moved in expected.rounding().items():
                bounds[name] = max(tolerance, ROUNDINGS * moved / scale_of(expected[name]))
        for name, error in off.items():
            assert error <= bounds[name], f"{name} is off by {error:.1e} of its scale"
        return
    if isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, tolerance)
        return
    if isinstance(expected, tuple) and isinstance(expected[0], str):
        name, found, expected = expected[0], found[1], expected[1]
    else:
        name = "tensor"
    error = error_of(name, found, expected)
    assert error <= tolerance, f"{name} is off by {error:.1e} of its scale"


def error_of(name, found, expected):
    """The largest difference, as a share of the largest entry."""
    assert found.shape == expected.shape, f"{name}: {found.shape}, not {expected.shape}"
    return largest(found.to(expected) - expected) / scale_of(expected)


def scale_of(value):
    return max(1.0, largest(value))


def largest(value):
    return value.abs().max().item() if value.numel() else 0.0


class Products(TorchDispatchMode):
    """The matrix products that are run within."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket._qualified_op_name.split("::")[1]
        if name in ("mm", "addmm", "addmm_", "bmm", "baddbmm"):
            left, right = args[-2:]
            self.shapes.append((*left.shape, right.shape[-1]))
        return func(*args, **(kwargs or {}))

    def __len__(self):
        return len(self.shapes)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    np.random.seed(0)


TRACED = {}


@pytest.fixture
def traced(monkeypatch):
    """The compiled executor's kernels run their graphs as they are, and chunks are small."""
    from structnet.execute.compiled import kernel, known, spans

    monkeypatch.setattr(spans, "CHUNK", 2)
    monkeypatch.setattr(kernel, "compile_function", lambda function, inputs, fake: function)
    monkeypatch.setattr(known, "_programs", TRACED)
    monkeypatch.setattr(known, "_known", WeakKeyDictionary())


# What stands for `structnet train` in a child: it leaves the files of a run, and computes nothing.
FAKE = """
import json, os, signal, sys, time
from pathlib import Path

words = sys.argv[1:]
given = dict(word.split("=", 1) for word in words if "=" in word)
place = Path(given.get("resume") or given["run"])
number = int(place.name.split("_")[0])
Path(f"words-{number}").write_text(json.dumps(words))

def finish(figure):
    (place / "config.yaml").write_text("task: {name: fake}")
    figures = {"accuracy": figure}
    metrics = {"test": figures, "validation": figures, "train": {"seconds": 60}}
    (place / "metrics.json").write_text(json.dumps({**metrics, "monitor": "accuracy"}))

def wait_for(name):
    until = time.monotonic() + 60
    while not Path(name).exists():
        assert time.monotonic() < until, f"no {name}"
        time.sleep(0.01)
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes the children of sweeps run a source in place of `structnet train`."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr("structnet.study.jobs.MODULE", "fake_train")
    return lambda source: (folder / "fake_train.py").write_text(FAKE + source)


def pass_of(cell, plan, z, initial=None, **options):
    """A pass whose input is projected already."""
    given = Pass(cell, plan, z, initial and tuple(initial), **options)
    vars(given)["z"] = z
    return given


def scans(cell, plan):
    return find("scan").refuses(Spec(cell, frozenset(), plan)) is None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        begins = QUICK.get(getattr(item, "originalname", ""))
        if begins and not item.callspec.id.startswith(begins):
            item.add_marker(pytest.mark.slow)
