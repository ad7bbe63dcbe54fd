"""Finding the tree of a structure's nodes, by merging those that are next to each other.

N: nodes of a batch, the leaves; B: samples; m: inner nodes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.tree.parsing.beam import Wanted, search
from structnet.plugins.tree.parsing.cky import search_chart
from structnet.plugins.tree.parsing.gold import Gold, classes_around, classes_of
from structnet.plugins.tree.parsing.nodes import Nodes, States
from structnet.plugins.tree.parsing.parses import Objective, Parses, numbered, parses_of
from structnet.plugins.tree.topology import Tree

# What the tree is called in `Task.parts`.
TREE = "tree"
Ints = np.ndarray
# Options of recurrent layers, with their defaults.
OF_LAYERS = {
    "num_layers": 1, "after": None, "skip": "none", "dropout": 0.3, "input_dropout": None,
    "output_dropout": None, "variational": False, "recurrent_dropout": 0.0, "zoneout": 0.0,
    "weight_drop": 0.0, "truncate": None,
}  # fmt: skip


@sn.nets.register("parser")
class Parser(nn.Module):
    """A tree over the nodes of a structure, built by merging two that are next to each other.

    Socher et al. (2011), "Parsing natural scenes and natural language with recursive neural
    networks": the cell, with two slots, gives the states of the parent of two neighbours, a linear
    map of its output the merge's score, and the score of a tree is the sum of its merges'. What is
    found is the tree with the highest score; neighbours are words that follow each other or, in a
    graph, nodes with an edge. Layers of recurrences of the run's topology give the leaves their
    context.

    Training is max-margin: every merge whose leaves cross a bracket of the given tree adds `margin`
    to the score of a tree, and a sample's loss is how far the best tree is ahead of the best one
    without such merges, 0 where it is not. So any number of children may be below a node of the
    given tree. A search that keeps few partial trees misses trees that would be ahead in the end:
    with search=beam the largest lead after any number of merges counts, the maximum violation of
    Huang et al. (2012), "Structured perceptron with inexact search".

    Every node has scores of classes, by the head: class 0 is that of nodes which the given tree
    does not have.

    Arguments:
        search: beam, in which every step merges a pair, or for sequences cky, a chart of all spans,
            in as many merges as the third power of their length.
        beam: how many partial trees are kept or, of cky, how many trees of every span; 1 is with
            search=beam the greedy search of the paper.
        train_beam: the same in training, where more take longer to learn from.
        margin: what a wrong merge adds to a tree's score in training.
        context: whether leaves know the structure around them, by the layers; else they are the
            input of their own node alone, as in the paper, and there are no layers.
        hidden_size: the units of a layer in each direction.
        tree_size: the units of a node of the tree; null for hidden_size.
        leaf_size: the units of a hidden layer that makes the states of a leaf; null for none.
        options: those of net `stack`.
    """

    # What `**options` are.
    options_of: ClassVar = {
        sn.Net: (
            "input", "vectors", "embeddings", "embedding_size", "characters", "character_size",
            "num_layers", "before", "after", "skip", "dropout", "input_dropout", "output_dropout",
            "variational", "word_dropout", "embedding_dropout", "recurrent_dropout", "zoneout",
            "weight_drop", "truncate", "executor", "save",
        )
    }  # fmt: skip
    # Options that only give initial weights: a saved net is built without them.
    initial_options: ClassVar = sn.Net.initial_options

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology | str,
        cell: Callable[[int, int, int | None], sn.Cell] | str,
        readout: Callable[[int, int], sn.Readout] | str,
        head: Callable[[int, sn.Sizes], sn.Head],
        *,
        search: Literal["beam", "cky"] = "beam",
        beam: int = 4,
        train_beam: int = 1,
        margin: float = 0.1,
        context: bool = True,
        hidden_size: int = 128,
        tree_size: int | None = None,
        leaf_size: int | None = None,
        **options: Any,
    ):
        """ValueError for a task without trees to find, and for options that do not fit."""
        super().__init__()
        counts = {"beam": beam, "train_beam": train_beam}
        _check(sizes, margin, {**counts, "tree_size": tree_size, "leaf_size": leaf_size})
        if not context:
            _refuse_layers(options)
        inner = replace(sizes, parts=())
        self.search, self.margin = search, margin
        self.beam, self.train_beam = beam, train_beam
        self.encoder = sn.Net(
            inner, topology, cell, readout, _no_head, hidden_size=hidden_size, **options
        )
        if not self.encoder.readout.per_node:
            raise ValueError(
                f"net 'parser' reads every node, and {sn.readouts.called(self.encoder.readout)} "
                "gives a vector per sample: take readout=every"
            )
        self.topology = self.encoder.layers[0].topology
        if search == "cky" and self.topology.takes != "sequence":
            raise ValueError(
                f"net.search=cky is for sequences, {sn.topologies.called(self.topology)} takes "
                f"{self.topology.takes!r}: take net.search=beam"
            )
        size = tree_size or hidden_size
        # Inner nodes have no input of their own: it is a zero.
        self.tree = sn.Recurrence(Tree(), cell, 1, size, executor=options.get("executor", "auto"))
        self.state_sizes = self.tree.cells[0].state_sizes
        self.context, entering = context, self.encoder.entering
        if not context:
            # The layers have no weights to learn then.
            self.encoder.stack = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
        read = self.encoder.stack.output_size if context else entering
        self.leaf = _leaf(read, leaf_size, sum(self.state_sizes))
        self.score = nn.Linear(self.tree.output_size, 1, bias=False)
        self.head = head(self.tree.output_size, replace(inner, vocabulary=None))
        if isinstance(self.head, sn.JointHead):
            raise ValueError(
                f"{sn.heads.called(self.head)} scores the nodes of a structure together, and "
                "net 'parser' makes nodes of its own: take head=softmax"
            )

    @property
    def penalty(self) -> Tensor | None:
        """What the last pass in training adds to the loss; None for nothing."""
        return self.encoder.penalty

    def forward(self, batch: sn.Batch) -> Objective | Parses:
        """What is learned from a batch in training; else the trees that are found."""
        return self.objective(batch) if self.training else self.parse(batch)

    def parse(self, batch: sn.Batch) -> Parses:
        """The best trees that are found."""
        states, ptr = self.leaves(batch), batch.ptr.cpu().numpy()
        nodes = self._nodes(states, batch, Gold.of(batch.parts[0], ptr))
        samples = np.arange(batch.num_samples)
        found = self._search(nodes, batch, Wanted(samples, np.zeros(len(samples))))
        ids, bounds = numbered(nodes, ptr, found)
        h = nodes.states[0][torch.from_numpy(ids).to(states[0].device)]
        return parses_of(nodes, ptr, ids, bounds, self.head(h))

    def objective(self, batch: sn.Batch) -> Objective:
        """What is learned from a batch."""
        states, ptr = self.leaves(batch), batch.ptr.cpu().numpy()
        gold = Gold.of(batch.parts[0], ptr)
        nodes = self._nodes([state.detach() for state in states], batch, gold)
        count = batch.num_samples
        margins = np.repeat([self.margin, -np.inf], count)
        found = self._search(nodes, batch, Wanted(np.tile(np.arange(count), 2), margins))
        used = np.unique(np.concatenate(found))
        h = self.states_of(states, nodes["left"][used], nodes["right"][used], used)
        errors = torch.from_numpy(self.margin * nodes["wrong"][used]).to(h)
        score = self.score(h)[:, 0]
        said = self._steps(score + errors, used, found[:count])
        lead = (said - self._steps(score, used, found[count:])).cumsum(1)
        # A chart has no order in which the nodes of a tree were found.
        ahead = (lead[:, -1] if self.search == "cky" else lead.amax(1)).relu()
        at = nodes["sample"][used]
        inner = nodes["shared"][used], nodes["size"][used], gold.sizes[at], gold.labels[at]
        y, around = (
            torch.from_numpy(np.concatenate([gold.leaf_labels, classes(*inner)])).to(h.device)
            for classes in (classes_of, classes_around)
        )
        return Objective(ahead, self.head(torch.cat([states[0], h])), y, around)

    def _steps(self, score: Tensor, ids: Ints, trees: Sequence[Ints]) -> Tensor:
        """The scores of the merges of trees in their order, (trees, steps), 0 after the last.

        Arguments:
            score: of nodes.
            ids: the numbers of these nodes, ascending.
            trees: the numbers of each tree's merges.
        """
        at = np.full((len(trees), max(1, *map(len, trees))), len(ids))
        for row, tree in zip(at, trees, strict=True):
            row[: len(tree)] = np.searchsorted(ids, tree)
        return nn.functional.pad(score, (0, 1))[torch.from_numpy(at).to(score.device)]

    def leaves(self, batch: sn.Batch) -> list[Tensor]:
        """The states of the leaves, (N, size) each: tanh of what `leaf` gives."""
        alone = replace(batch, parts=())
        h = self.encoder.states(alone) if self.context else self.encoder.enter(alone)
        return list(self.leaf(h).tanh().split(self.state_sizes, dim=1))

    def states_of(self, leaves: States, left: Ints, right: Ints, ids: Ints) -> Tensor:
        """The outputs (m, size) of nodes `ids`, made of `left` and `right`, with gradients."""
        count, num_leaves = len(ids), len(leaves[0])
        pairs = np.stack([left, right], axis=1)
        table = np.where(pairs < num_leaves, count + pairs, np.searchsorted(ids, pairs))
        plan = sn.schedule(table, num_initial=num_leaves).to(leaves[0].device)
        return self.tree(leaves[0].new_zeros(count, 1), [plan], initial=leaves)

    def merge(self, left: States, right: States) -> tuple[States, Tensor]:
        """The states of the parents of pairs of nodes, and the scores of the merges (m,)."""
        count = len(left[0])
        before = [torch.stack(pair, dim=1).flatten(0, 1) for pair in zip(left, right, strict=True)]
        plan = pairs_plan(count).to(left[0].device)
        x = left[0].new_zeros(count, 1)
        h, states = self.tree(x, [plan], initial=before, return_states=True)
        return states, self.score(h)[:, 0]

    def _nodes(self, states: States, batch: sn.Batch, gold: Gold) -> Nodes:
        return Nodes(states, self.merge, batch.sample_of_node().cpu().numpy(), gold)

    @torch.no_grad()
    def _search(self, nodes: Nodes, batch: sn.Batch, wanted: Wanted) -> list[Ints]:
        beam = self.train_beam if self.training else self.beam
        if self.search == "cky":
            return search_chart(nodes, batch.ptr.cpu().numpy(), wanted, beam)
        return search(nodes, self.edges(batch), wanted, beam)

    def edges(self, batch: sn.Batch) -> Ints:
        """Pairs of leaves that are next to each other (2, E)."""
        if self.topology.takes == "sequence":
            is_first = np.zeros(batch.num_nodes + 1, bool)
            is_first[batch.ptr.cpu().numpy()] = True
            right = np.flatnonzero(~is_first)
            return np.stack([right - 1, right])
        arrows = batch.plans[0].arrows.cpu().numpy()
        return arrows[:, arrows[0] < batch.num_nodes]


@lru_cache(maxsize=256)
def pairs_plan(count: int) -> sn.Plan:
    """The plan of nodes that each read two initial states of their own."""
    return sn.schedule(count + np.arange(2 * count).reshape(-1, 2), num_initial=2 * count)


def _no_head(size: int, sizes: sn.Sizes) -> Any:
    return nn.Identity()


def _leaf(size: int, hidden: int | None, states: int) -> nn.Module:
    """What makes the states of a leaf of its input, but for the tanh."""
    if hidden is None:
        return nn.Linear(size, states)
    return nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, states))


def _refuse_layers(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name in OF_LAYERS and value and value != OF_LAYERS[name]:
            raise ValueError(
                f"net.{name}={value} is of recurrent layers, and net.context=false has none: leave "
                "one of them out"
            )


def _check(sizes: sn.Sizes, margin: float, counts: Mapping[str, int | None]) -> None:
    if list(sizes.parts) != [TREE]:
        raise ValueError(
            f"net 'parser' learns from samples with a tree, and this task has no part {TREE!r}: "
            "take a task that has, task=parsing or task=scene_parsing, or another net"
        )
    for option, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"option {option!r} is at least 1, got {value}")
    if margin < 0:
        raise ValueError(f"option 'margin' is at least 0, got {margin}")
