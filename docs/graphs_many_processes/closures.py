"""How many nodes targets pull in with their ancestors, on real graphs and on drawn ones.

    STRUCTNET_DATA=DATA python docs/graphs_many_processes/closures.py [CLONE]

prints the two tables of docs/graphs-many-processes.md in a minute; CLONE is a clone of a Git
repository, whose history is one of the graphs.
"""

import subprocess
import sys

import numpy as np
from model import Graph, repeats
from split import draw, edges_of

import structnet as sn
from structnet.data.ancestors import Incoming
from structnet.data.synthetic import dependency_trees
from structnet.topology.levels import node_levels

TARGETS, DEPTHS = 1024, (1, 2, 4, 8, 16, None)
WIDTH, LEVELS = 1000, 100


def united(graphs: list) -> sn.Edges:
    """Graphs side by side as one."""
    sizes = [graph.num_nodes for graph in graphs]
    first = np.cumsum([0, *sizes])
    index = [np.asarray(graph.index) + start for graph, start in zip(graphs, first, strict=False)]
    return sn.Edges(np.concatenate(index, axis=1), int(first[-1]))


def words() -> sn.Edges:
    """The dependency trees of UD English EWT: a word reads those that depend on it."""
    tables = dependency_trees(1_000_000)
    graphs = []
    for table in tables:
        head, slot = np.nonzero(table >= 0)
        graphs.append(sn.Edges(np.stack([table[head, slot], head]), len(table)))
    return united(graphs)


def architectures() -> sn.Edges:
    """The DAGs of ENAS's search space."""
    splits = sn.tasks.create("enas").load(sn.topologies.create("graph"))
    return united([sample.structure for split in splits.values() for sample in split])


def history(clone: str) -> sn.Edges:
    """The commits of a repository, the oldest first: a commit reads its parents."""
    command = ["git", "-C", clone, "rev-list", "--parents", "--topo-order", "--reverse", "HEAD"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in out.splitlines()]
    place = {names[0]: number for number, names in enumerate(lines)}
    pairs = [
        (place[parent], place[commit])
        for commit, *parents in lines
        for parent in parents
        if parent in place
    ]
    return sn.Edges(np.array(pairs).T, len(lines))


def grid(side: int) -> sn.Edges:
    """A square whose pixels read those above and to the left."""
    place = np.arange(side * side).reshape(side, side)
    source = np.concatenate([place[:-1].ravel(), place[:, :-1].ravel()])
    target = np.concatenate([place[1:].ravel(), place[:, 1:].ravel()])
    return sn.Edges(np.stack([source, target]), side * side)


def drawn() -> dict[int | None, sn.Edges]:
    """By their reach, graphs of 100 levels of 1,000 nodes, of which each reads three."""
    random = np.random.default_rng(0)
    return {reach: edges_of(draw(WIDTH, LEVELS, reach, random)) for reach in (8, 64, None)}


def growth(name: str, edges: sn.Edges) -> str:
    """A row: how many nodes a batch has, by depth, for targets drawn evenly and in order."""
    source, target = np.asarray(edges.index)
    levels = node_levels(source, target, edges.num_nodes).max() + 1
    inward = Incoming(np.asarray(edges.index), edges.num_nodes)
    evenly = np.random.default_rng(0).choice(edges.num_nodes, TARGETS, replace=False)
    found = [len(inward.reach(evenly, depth)) for depth in DEPTHS]
    middle = (edges.num_nodes - TARGETS) // 2
    found.append(len(inward.reach(middle + np.arange(TARGETS), None)))
    shape = (edges.num_nodes, len(source), levels)
    return f"| {name} | {' | '.join(f'{count:,}' for count in (*shape, *found))} |"


def repeated(reach: int | None, ranks: int, edges: sn.Edges) -> str:
    """A row: R of a drawn graph, counted for the rank in the middle, and as the model has it."""
    inward, block = Incoming(np.asarray(edges.index), edges.num_nodes), WIDTH // ranks
    first = WIDTH * np.arange(LEVELS)[:, None] + ranks // 2 * block
    count = len(inward.reach((first + np.arange(block)).ravel(), None))
    counted = ranks * count / edges.num_nodes
    expected = repeats(Graph(edges.num_nodes, LEVELS, reach=reach), ranks)
    return f"| {reach or 'anywhere'} | {ranks} | {counted:.2f} | {expected:.2f} |"


def main() -> None:
    graphs = {"trees of EWT": words(), "DAGs of ENAS": architectures()}
    if sys.argv[1:]:
        graphs["commits of the clone"] = history(sys.argv[1])
    graphs["grid of 1,000 x 1,000"] = grid(1000)
    graphs |= {f"drawn, reach {reach or 'anywhere'}": edges for reach, edges in drawn().items()}
    for name, edges in graphs.items():
        print(growth(name, edges))
    for reach, edges in drawn().items():
        for ranks in (2, 10, 100):
            print(repeated(reach, ranks, edges))


if __name__ == "__main__":
    main()
