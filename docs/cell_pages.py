"""The parts of a cell's page: its equations, weights, states, executors and measured cost."""

import json
from fractions import Fraction
from itertools import product
from pathlib import Path

import torch
from notation import Unread, equations_of, latex

import structnet as sn
from structnet.execute.executor import Spec, find, reason

COSTS = Path(__file__).parent / "costs" / "costs.json"
# Of a net with 128 inputs and 128 hidden units, whose weights are counted.
SIZE = 128
# Kind of structure -> topology, a structure, and what a node reads.
KINDS = {
    "chain": ("chain", {}, 3, "one slot"),
    "tree": ("tree", {}, [[1, 2], [-1, -1], [-1, -1]], "two ordered slots"),
    "graph": ("graph", {}, sn.Edges([[0, 0, 1], [1, 2, 2]], 3), "unordered predecessors"),
}
RUN_BY = ("torch", "scan", "batched", "compiled")
# tests/test_export.py holds it of every cell.
EXPORTED = "A trained net of it exports to ONNX: [what is in the folder](../../export.md)."
# Powers of I and H, the largest first.
POWERS = ((1, 1), (0, 2), (0, 3), (1, 0), (0, 1), (0, 0))
LEGEND = r"""
x is the input of a node and h its output; k runs over its predecessors, at a node without any over
one whose states are zeros. {math}`\sigma` is the logistic function and {math}`\odot` the product
component by component. I is the number of inputs, H of hidden units, K of predecessors. Where
ordered slots add {math}`U_k \, h_k`, unordered predecessors enter as U times their `aggregate`, by
default the sum.
"""


def equations_part(name: str) -> str:
    """The equations, those of an option below the others."""
    found: dict[str, list[str]] = {}
    for one in equations_of(sn.cells[name]):
        found.setdefault(one.when, []).append(shown(one.text))
    parts = ["## Equations"] if found else []
    for when, texts in found.items():
        if when:
            option = f"`cell.{when}`" if "=" in when else when
            parts.append(f"With {option}:")
        parts += texts
    return "\n\n".join(parts)


def shown(text: str) -> str:
    """An equation as a block of the page; as code where it can't be read."""
    try:
        return f"```{{math}}\n{latex(text)}\n```"
    except Unread:
        return f"```text\n{text}\n```"


def weights_part(name: str) -> str:
    """The number of weights as a formula and as a number, by what a node reads."""
    rows = []
    for kind, (topology, options, _, reads) in KINDS.items():
        made = sn.topologies.create(topology, **options)
        rows.append(f"| {kind}, {reads} | {formula(name, made)} | {count(name, made):,} |")
    return "\n".join([
        "## Weights", "", "I inputs, H hidden units, default options.", "",
        f"| topology | weights | I = H = {SIZE} |", "|---|---|---|", *rows,
    ])  # fmt: skip


def count(name: str, topology: sn.Topology, inputs: int = SIZE, units: int = SIZE) -> int:
    """The number of weights of a layer."""
    layer = sn.Recurrence(topology, name, inputs, units)
    return sum(one.numel() for one in layer.parameters())


def formula(name: str, topology: sn.Topology) -> str:
    """The number of weights in I and H; where it is another one for I = H, that as well."""
    apart = polynomial(lambda i, h: count(name, topology, i, h), SAMPLES)
    same = count(name, topology)
    if value(apart, SIZE, SIZE) == same:
        return written(apart)
    equal = polynomial(lambda i, h: count(name, topology, h, h), [(0, h) for h in range(2, 6)])
    return f"{written(apart)}; where I = H, {written(equal)}"


# More than there are coefficients, so that a count that is no polynomial is found out.
SAMPLES = [(i, h) for i, h in product((2, 3, 5, 8), (3, 4, 6, 7, 9)) if i != h]


def polynomial(count_of, samples) -> dict[tuple[int, int], Fraction]:
    """Coefficients by powers of I and H of what `count_of(I, H)` gives at all samples.

    ValueError where no polynomial gives all of it.
    """
    powers = [p for p in POWERS if p[0] == 0 or any(i for i, _ in samples)]
    rows = [[float(i**a * h**b) for a, b in powers] for i, h in samples]
    counts = [count_of(i, h) for i, h in samples]
    exact = {"dtype": torch.float64}
    left, right = torch.tensor(rows, **exact), torch.tensor(counts, **exact)[:, None]
    solved = torch.linalg.lstsq(left, right).solution[:, 0].tolist()
    found = {p: Fraction(one).limit_denominator(8) for p, one in zip(powers, solved, strict=True)}
    for (i, h), number in zip(samples, counts, strict=True):
        if value(found, i, h) != number:
            raise ValueError(f"{number} weights for I={i}, H={h} are not {written(found)}")
    return {power: one for power, one in found.items() if one}


def value(found, inputs: int, units: int) -> Fraction:
    return sum((c * inputs**a * units**b for (a, b), c in found.items()), Fraction(0))


def written(found) -> str:
    """A polynomial as `4 I H + 4 H² + 4 H`."""
    terms = []
    for (a, b), number in found.items():
        letters = " ".join(x + "  ²³"[n].strip() for x, n in (("I", a), ("H", b)) if n)
        shown = "" if number == 1 and letters else str(number)
        terms.append(" ".join(filter(None, (shown, letters))))
    return " + ".join(terms) or "0"


def states_part(name: str) -> str:
    """The states that a node keeps for those after it."""
    topology = sn.topologies.create("chain")
    sizes = {h: list(layer_of(name, topology, h).state_sizes) for h in range(2, 6)}
    rows = []
    for at, state in enumerate(layer_of(name, topology, 2).states):
        size = polynomial(lambda _, h, at=at: sizes[h][at], [(0, h) for h in sizes])
        rows.append(f"| {state} | {written(size)} |")
    return "\n".join(["## States", "", "| state of a node | numbers |", "|---|---|", *rows])


def layer_of(name: str, topology: sn.Topology, units: int):
    return sn.Recurrence(topology, name, 3, units).cells[0]


def runs_part(name: str) -> str:
    """The executors that run it on each kind of structure."""
    rows = []
    for kind, (topology, options, structure, _) in KINDS.items():
        made = sn.topologies.create(topology, **options)
        able = [f"[`{one}`](../executor/{one}.md)" for one in able_of(name, made, structure)]
        rows.append(f"| {kind} | {', '.join(able)} |")
    return "\n".join([
        "## Runs on", "",
        "Executors that take it, with default options. Each gives the numbers of `reference`; "
        "`scan` is parallel over time, `torch` the vendor's layer.", "",
        "| structure | executors |", "|---|---|", *rows, "", EXPORTED,
    ])  # fmt: skip


def able_of(name: str, topology: sn.Topology, structure, executors=RUN_BY) -> list[str]:
    """The executors that refuse nothing about a layer and its plan."""
    layer = sn.Recurrence(topology, name, 3, 4)
    (plan,) = topology.plan([structure])
    spec = Spec(layer.cells[0], frozenset(), plan, torch.zeros(3, 3))
    return [one for one in executors if reason(find(one), spec) is None]


def cost_part(name: str) -> str:
    """What docs/costs/measure.py found."""
    found = json.loads(COSTS.read_text()) if COSTS.exists() else {"cells": {}}
    if name not in found["cells"]:
        return ""
    rows = []
    for topology, of in found["cells"][name].items():
        for executor in ("auto", "batched"):
            rows.append(cost_row(topology, executor, of))
    machine = found["machine"]
    return "\n".join([
        "## Measured cost", "",
        "Microseconds per node, the median and in brackets the quartiles. "
        f"{found['batch']} structures of 50 nodes (trees: 49), {found['units']} inputs and hidden "
        "units, float32, one thread. `auto` is as after its first 50,000 levels. Torch is "
        "torch.nn.LSTM on chains of as many steps, the floor the matrix products of the step "
        "alone; all take turns.", "",
        "| topology | executor | forward | training step | step / torch | step / floor |",
        "|---|---|---|---|---|---|", *rows, "",
        f"{found['date']}, {machine['processor']}, torch {machine['torch']}, "
        f"{found['repeats']} repeats: `{found['command']}`.",
    ])  # fmt: skip


def cost_row(topology: str, executor: str, of) -> str:
    step, floor = of[executor]["step"], of["floor"]["step"]
    ratios = f"{step[0] / of['nn.LSTM']['step'][0]:.1f} | {step[0] / floor[0]:.1f}"
    return (f"| `{topology}` | `{executor}` | {spread(of[executor]['forward'])} | {spread(step)} "
            f"| {ratios} |")  # fmt: skip


def spread(of) -> str:
    median, low, high = of
    return f"{median:.1f} ({low:.1f} to {high:.1f})"
