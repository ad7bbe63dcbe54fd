"""How long a training step takes on many ranks: the formulas of docs/graphs-many-processes.md.

Times are in seconds, sizes in bytes. A step goes through N nodes in L levels of w = N / L nodes.
"""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Machine:
    """What a rank and its network take, for a cell of a given hidden size.

    Arguments:
        node_s: a, for a node forward and backward, in seconds.
        level_s: b, for a level forward and backward, in seconds.
        split_s: c, the same where every level waits for others, so that levels can't be one call.
        latency_s: alpha, for a message, in seconds.
        byte_s: beta, for a byte that a rank sends or receives, in seconds.
        state: s, what is sent of a node, in bytes.
        kept: m, what is kept of a node for backward, in bytes.
        parameters: P, the weights of the model, in bytes.
    """

    node_s: float
    level_s: float
    split_s: float
    latency_s: float
    byte_s: float
    state: float = 4 * 64
    kept: float = 5_600
    parameters: float = 1e6


@dataclass(frozen=True)
class Graph:
    """A graph in levels of equal width, whose nodes read nodes of the level before.

    Arguments:
        nodes: N.
        levels: L.
        degree: d, how many nodes a node reads.
        reach: r, how far away in the level before these are at most; None for anywhere in it.
    """

    nodes: float
    levels: int
    degree: float = 3.0
    reach: float | None = None

    @property
    def width(self) -> float:
        return self.nodes / self.levels


def cut(graph: Graph, ranks: int) -> float:
    """kappa: the share of edges from one rank's nodes to another's, if each has a block of them."""
    anywhere = 1 - 1 / ranks
    if graph.reach is None or ranks == 1:
        return anywhere
    return min(anywhere, graph.reach * ranks / (2 * graph.width))


def received(graph: Graph, ranks: int) -> float:
    """h: the nodes of other ranks, each once, that a rank reads in a level."""
    others = graph.width * (1 - 1 / ranks)
    if graph.reach is None:
        return others * -math.expm1(-graph.degree / ranks)
    return min(others, 2 * graph.reach) if ranks > 1 else 0.0


def partners(graph: Graph, ranks: int) -> int:
    """q: the number of other ranks that a rank reads from in a level."""
    if graph.reach is None:
        return min(ranks - 1, math.ceil(received(graph, ranks)))
    sides = 2 * math.ceil(graph.reach * ranks / graph.width)
    return min(ranks - 1, sides)


def exchange_s(machine: Machine, graph: Graph, ranks: int) -> float:
    """X: one all-to-all of a level's states, message by message or in log2 p rounds (Bruck)."""
    if ranks == 1:
        return 0.0
    sent = machine.byte_s * machine.state * received(graph, ranks)
    rounds = math.ceil(math.log2(ranks))
    one_by_one = partners(graph, ranks) * machine.latency_s + sent
    return min(one_by_one, rounds * (machine.latency_s + sent / 2))


def reduce_s(machine: Machine, ranks: int) -> float:
    """Y: the all-reduce of the gradients of all weights, once a step."""
    rounds = 2 * math.ceil(math.log2(ranks))
    return rounds * machine.latency_s + 2 * (1 - 1 / ranks) * machine.parameters * machine.byte_s


def repeats(graph: Graph, ranks: int) -> float:
    """R: the nodes that all ranks compute in all, targets and ancestors, over those of the graph.

    All nodes are targets; a rank's are a block of every level.
    """
    if graph.reach is not None:
        # Level by level, backwards, a block grows by the reach on both sides.
        block, top = graph.width / ranks, graph.levels - 1
        steps = min(top, (graph.width - block) / (2 * graph.reach))
        grown = block * graph.levels + graph.reach * steps * (steps + 1)
        whole = (top - steps) * (graph.width - block)
        return min(ranks, ranks * (grown + whole) / graph.nodes)
    share, total, level = 1 / ranks, 0.0, 0
    while level < graph.levels:
        total, level = total + share, level + 1
        after = 1 - (1 - 1 / ranks) * math.exp(-graph.degree * share)
        if math.isclose(after, share, rel_tol=1e-9):
            total, level = total + (graph.levels - level) * after, graph.levels
        share = after
    return ranks * total / graph.levels


def data_parallel_s(machine: Machine, graph: Graph, ranks: int) -> float:
    """A step on N nodes of many graphs, of which every rank has its share."""
    computed = machine.node_s * graph.nodes / ranks + machine.level_s * graph.levels
    return computed + reduce_s(machine, ranks)


def target_parallel_s(machine: Machine, graph: Graph, ranks: int) -> float:
    """A step on one graph, of which every rank computes its targets with all their ancestors."""
    nodes = repeats(graph, ranks) * graph.nodes / ranks
    computed = machine.node_s * nodes + machine.level_s * graph.levels
    return computed + reduce_s(machine, ranks)


def level_parallel_s(machine: Machine, graph: Graph, ranks: int) -> float:
    """A step on one graph whose levels are split, an all-to-all a level forward and backward."""
    level = machine.node_s * max(1.0, graph.width / ranks) + machine.split_s
    exchanged = 2 * (graph.levels - 1) * exchange_s(machine, graph, ranks)
    return graph.levels * level + exchanged + reduce_s(machine, ranks)


def waits_s(machine: Machine, graph: Graph, ranks: int) -> float:
    """Z: what a level takes longer if it is split, beside its nodes."""
    return 2 * exchange_s(machine, graph, ranks) + machine.split_s - machine.level_s


def least_width(machine: Machine, graph: Graph, ranks: int) -> float:
    """The nodes of a level from which on splitting it takes less than computing it on one rank.

    Of a graph that is read as the given one is; inf if its states take longer to send than to
    compute.
    """
    low, high = 0.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        wide = replace(graph, nodes=10**middle, levels=1)
        saved = machine.node_s * wide.width * (1 - 1 / ranks)
        low, high = (low, middle) if saved > waits_s(machine, wide, ranks) else (middle, high)
    return 10**high if high < 12 else math.inf


def most_levels(machine: Machine, graph: Graph, ranks: int) -> float:
    """The levels up to which targets with ancestors take less than split levels, given a reach.

    It holds while no rank's ancestors are whole levels.
    """
    assert graph.reach is not None
    return 1 + waits_s(machine, graph, ranks) / (machine.node_s * graph.reach)


# What `sn.node_loader` holds of every edge and node, beside the input and the targets.
LOADED_EDGE, LOADED_NODE = 32, 48


def memory(machine: Machine, graph: Graph, ranks: int, way: str) -> float:
    """Bytes of a rank, without the input and the targets: way is data, target or level."""
    loader = LOADED_EDGE * graph.degree * graph.nodes + LOADED_NODE * graph.nodes
    weights = 4 * machine.parameters  # With their gradients and two averages of the optimiser.
    times = repeats(graph, ranks) if way == "target" else 1.0
    held = loader if way == "target" else loader / ranks
    return weights + machine.kept * times * graph.nodes / ranks + held


# As measure.py has it of two processes on a busy machine: level by level, and with split levels.
HERE = Machine(18.26e-6, 3320e-6, 3525e-6, latency_s=1700e-6, byte_s=1.603e-9, parameters=1e5)
HERE_SPLIT = replace(HERE, node_s=15.48e-6)
# On an idle machine, with the levels of a pass in one call, compiled; c level by level. Its network
# is assumed: 20 us a message, and 1 GB/s for every rank.
CORE = Machine(6.6e-6, 118e-6, 1364e-6, latency_s=20e-6, byte_s=1e-9)
# All of it assumed: ten million nodes a second, 25 GB/s.
ACCELERATOR = Machine(1e-7, 1e-4, 1e-4, latency_s=20e-6, byte_s=4e-11)
MACHINES = {"core": CORE, "accelerator": ACCELERATOR}


def crossovers() -> list[str]:
    """Rows of a table: from which width and up to which depth split levels lose."""
    found = []
    for name, machine in MACHINES.items():
        for ranks in (2, 64, 1000):
            wide = Graph(1e9, 100)
            narrow = [Graph(1e9, 100, reach=reach) for reach in (10, 100, 1000)]
            widths = [least_width(machine, graph, ranks) for graph in (narrow[1], wide)]
            levels = [most_levels(machine, graph, ranks) for graph in narrow]
            cells = [name, f"{ranks:,}", *(f"{count:,.0f}" for count in (*widths, *levels))]
            found.append(f"| {' | '.join(cells)} |")
    return found


def steps(ranks: int = 1000) -> list[str]:
    """Rows of a table: seconds of a step on a graph of 10^9 nodes, and gigabytes of a rank."""
    found = []
    for name, machine in MACHINES.items():
        for levels in (10, 1_000, 100_000):
            near, far = Graph(1e9, levels, reach=100), Graph(1e9, levels)
            times = [
                data_parallel_s(machine, near, 1),
                data_parallel_s(machine, near, ranks),
                target_parallel_s(machine, near, ranks),
                level_parallel_s(machine, near, ranks),
                target_parallel_s(machine, far, ranks),
                level_parallel_s(machine, far, ranks),
            ]
            held = [memory(machine, near, ranks, way) / 1e9 for way in ("data", "target", "level")]
            cells = [
                name,
                f"{levels:,}",
                *(f"{float(f'{value:.3g}'):,g}" for value in (*times, *held)),
            ]
            found.append(f"| {' | '.join(cells)} |")
    return found


if __name__ == "__main__":
    print("\n".join([*crossovers(), "", *steps()]))
