"""What two processes take: the constants of model.py, and steps beside what it predicts of them.

    torchrun --nproc-per-node=2 docs/graphs_many_processes/measure.py

takes three minutes on two idle cores. Cases take turns, and both processes run each at a time; its
time is that of the slower one.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import numpy as np
import torch
import torch.distributed as dist
from model import Graph, Machine, data_parallel_s, level_parallel_s, repeats, target_parallel_s
from numpy.typing import NDArray
from split import draw, edges_of, reduce_gradients, split, sweep

import structnet as sn
from structnet.bench.stopwatch import peak_bytes
from structnet.nn.compiling import compile_now

HIDDEN, ROUNDS = 64, 25
# Calls of a collective that are timed together.
CALLS = 10
# Width and levels of the steps that node_s and level_s are fitted to.
SHAPES = [(32, 32), (64, 64), (128, 32), (256, 32), (512, 16)]
FLOATS = [16, 256, 4_096, 65_536, 524_288]
# Nodes, levels and reach of the steps that are predicted.
GRAPHS = [
    (8_192, 8, 8), (8_192, 32, 8), (8_192, 32, 64), (8_192, 32, None), (8_192, 128, 8),
    (32_768, 32, 8),
]  # fmt: skip
Times = Mapping[str, NDArray[np.floating]]
Cases = dict[str, Callable[[], object]]


def main() -> None:
    torch.set_num_threads(1)
    sn.keep_memory()
    dist.init_process_group("gloo")
    random = np.random.default_rng(0)
    cases = collectives() | constants(random)
    for nodes, levels, reach in GRAPHS:
        cases |= steps(nodes, levels, reach, random)
    times = take_turns(cases)
    if dist.get_rank() == 0:
        report(times)
    dist.destroy_process_group()


def take_turns(cases: Cases) -> Times:
    """Seconds of every case in every round, those of the slower process."""
    found = np.zeros((len(cases), ROUNDS))
    for run in cases.values():
        run()
    for turn in range(ROUNDS):
        for number, run in enumerate(cases.values()):
            dist.barrier()
            start = time.perf_counter()
            run()
            found[number, turn] = time.perf_counter() - start
    slower = torch.from_numpy(found)
    dist.all_reduce(slower, dist.ReduceOp.MAX)
    return dict(zip(cases, slower.numpy(), strict=True))


def collectives() -> Cases:
    """Ten all-to-alls and all-reduces of a number of floats, in a row and between computations."""
    matrix = torch.randn(200, 200)
    cases: Cases = {}
    for count in FLOATS:
        rows = torch.zeros(count)
        halves = torch.zeros(2 * count)

        def exchange(sent: torch.Tensor = halves) -> None:
            dist.all_to_all_single(torch.empty_like(sent), sent)

        def reduce(sent: torch.Tensor = rows) -> None:
            dist.all_reduce(sent)

        def both(run: Callable[[], object]) -> None:
            compute(matrix)
            run()

        for name, run in (("exchange", exchange), ("reduce", reduce)):
            cases[f"{name} {count}"] = repeated(run)
            cases[f"apart {name} {count}"] = repeated(partial(both, run))
    cases["compute"] = repeated(partial(compute, matrix))
    return cases


def repeated(run: Callable[[], object]) -> Callable[[], object]:
    def runs() -> None:
        for _ in range(CALLS):
            run()

    return runs


def compute(matrix: torch.Tensor) -> None:
    """About a millisecond, as between two exchanges of a sweep."""
    for _ in range(5):
        matrix = matrix @ matrix


def new_layer(executor: str, save: Literal["gates", "recompute"] = "gates") -> sn.Recurrence:
    torch.manual_seed(0)
    layer = sn.Recurrence("graph", "gru", HIDDEN, HIDDEN, executor=executor, save=save)
    compile_now(layer)
    return layer


def step(layer: sn.Recurrence, x: torch.Tensor, plans: object) -> None:
    layer.zero_grad()
    layer(x, plans).sum().backward()


def constants(random: np.random.Generator) -> Cases:
    """Steps without communication, to fit node_s and level_s to."""
    cases: Cases = {}
    loop = new_layer("batched")
    for width, levels in SHAPES:
        before, x = draw(width, levels, None, random), torch.randn(width * levels, HIDDEN)
        plans = sn.topologies.create("graph").plan([edges_of(before)])
        for executor in ("batched", "compiled"):
            layer = new_layer(executor)
            cases[f"{executor} {width} {levels}"] = lambda a=layer, b=x, c=plans: step(a, b, c)
        shares = split(before, 0, 1)

        def alone(x: torch.Tensor = x, shares: list = shares) -> None:
            loop.zero_grad()
            sweep(loop, x, shares).sum().backward()

        cases[f"loop {width} {levels}"] = alone
    return cases


def steps(nodes: int, levels: int, reach: int | None, random: np.random.Generator) -> Cases:
    """A step of each way on a graph, and of one process on all of it."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    width = nodes // levels
    before, topology = draw(width, levels, reach, random), sn.topologies.create("graph")
    edges, x = edges_of(before), np.zeros((nodes, HIDDEN), np.float32)
    layer, shares = new_layer("batched"), split(before, rank, ranks)
    block = width // ranks
    own = (width * np.arange(levels)[:, None] + rank * block + np.arange(block)).ravel()
    half = topology.plan([edges_of(draw(block, levels, None, random))])
    whole = topology.plan([edges])
    loader = sn.node_loader(edges, x, np.zeros(nodes), topology, nodes=own, batch_size=nodes)
    batch = loader.batch(own)
    inputs = torch.from_numpy(x)

    def reduced(x: torch.Tensor, plans: object) -> None:
        step(layer, x, plans)
        reduce_gradients(layer)

    def level() -> None:
        layer.zero_grad()
        sweep(layer, inputs[: len(own)], shares).sum().backward()
        reduce_gradients(layer)

    name = f"{nodes} {levels} {reach}"
    REPEATS[name] = ranks * batch.num_nodes / nodes
    return {
        f"one {name}": lambda: step(layer, inputs, whole),
        f"data {name}": lambda: reduced(inputs[: len(own)], half),
        f"target {name}": lambda: reduced(batch.x, batch.plans),
        f"level {name}": level,
        f"load {name}": lambda: loader.batch(own),
    }


# Of every graph, the nodes of rank 0's closure times ranks over those of the graph.
REPEATS: dict[str, float] = {}
WAYS = {"data": data_parallel_s, "target": target_parallel_s, "level": level_parallel_s}


def report(times: Times) -> None:
    print(f"{ROUNDS} rounds: median (quartiles). GRU, hidden {HIDDEN}, gloo.")
    fitted = {name: fit(times, name) for name in ("compiled", "batched", "loop")}
    for name, (each, once, off) in fitted.items():
        print(f"{name}: {1e6 * each:.2f} us a node, {1e6 * once:.0f} us a level; off by {off:.0%}")
    apart = dict(times)
    for name in ("exchange", "reduce"):
        for count in FLOATS:
            apart[f"{name} {count}"] = times[f"apart {name} {count}"] - times["compute"]
        for label, some in (("in a row", times), ("between computations", apart)):
            latency, byte = line(some, name)
            print(f"{name}, {label}: {1e6 * latency:.0f} us, {1e9 * byte:.3f} ns a byte")
            for count in FLOATS:
                print(f"  {4 * count:,} bytes: {spread(some[f'{name} {count}'] / CALLS, 1e6)} us")
    table(times, fitted, line(apart, "exchange"))
    print(f"kept of a node: {kept('batched', 'gates'):,.0f} bytes by default")
    print(f"with save=recompute: {kept('compiled', 'recompute'):,.0f} bytes")


def kept(executor: str, save: Literal["gates", "recompute"]) -> float:
    """The peak of what a step allocates, in bytes for each of its nodes."""
    layer = new_layer(executor, save)
    edges = edges_of(draw(256, 200, None, np.random.default_rng(0)))
    plans, x = layer.topology.plan([edges]), torch.randn(edges.num_nodes, HIDDEN)
    step(layer, x, plans)
    return peak_bytes(partial(step, layer, x, plans)) / edges.num_nodes


def table(times: Times, fitted: Mapping, network: tuple[float, float]) -> None:
    """Print what was measured of the steps, and what the model has for the fitted constants."""
    print("Milliseconds of a step; as predicted. R counted; as predicted. Loading, us a node.")
    print("| nodes | levels | reach | R | one process | apart | targets | split | loading |")
    weights = sum(weight.nbytes for weight in new_layer("batched").parameters())
    once, split_once = fitted["batched"][1], fitted["loop"][1]
    for nodes, levels, reach in GRAPHS:
        graph, name = Graph(nodes, levels, reach=reach), f"{nodes} {levels} {reach}"
        cells = [f"{nodes:,}", str(levels), str(reach or "anywhere")]
        cells.append(f"{REPEATS[name]:.2f}; {repeats(graph, 2):.2f}")
        for way in ("one", *WAYS):
            each = fitted["loop" if way == "level" else "batched"][0]
            here = Machine(each, once, split_once, *network, 4 * HIDDEN, parameters=weights)
            alone = data_parallel_s(here, graph, 1)
            expected = alone if way == "one" else WAYS[way](here, graph, 2)
            cells.append(f"{spread(times[f'{way} {name}'], 1e3)}; {1e3 * expected:.0f}")
        loading = np.median(times[f"load {name}"]) / (REPEATS[name] * nodes / 2)
        print(f"| {' | '.join([*cells, f'{1e6 * loading:.1f}'])} |")


def spread(times: NDArray, scale: float) -> str:
    low, middle, high = scale * np.percentile(times, [25, 50, 75])
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def fit(times: Times, name: str) -> tuple[float, float, float]:
    """Seconds per node and per level, with the same relative error; the largest error."""
    shapes = np.array([(width * levels, levels) for width, levels in SHAPES])
    measured = np.array([np.median(times[f"{name} {width} {levels}"]) for width, levels in SHAPES])
    scaled = shapes / measured[:, None]
    found = np.linalg.lstsq(scaled, np.ones(len(shapes)), rcond=None)[0]
    return found[0], found[1], np.abs(scaled @ found - 1).max()


def line(times: Times, name: str) -> tuple[float, float]:
    """Seconds per call and per byte, with the same relative error."""
    measured = np.array([np.median(times[f"{name} {count}"]) / CALLS for count in FLOATS])
    scaled = np.stack([np.ones(len(FLOATS)), 4.0 * np.array(FLOATS)], 1) / measured[:, None]
    each, byte = np.linalg.lstsq(scaled, np.ones(len(FLOATS)), rcond=None)[0]
    return each, byte


if __name__ == "__main__":
    main()
