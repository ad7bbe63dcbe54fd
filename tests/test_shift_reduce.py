"""Trees by shift and reduce: the thin stack, and net=shift_reduce against net=stack."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import SMALL, call, needs_sst, refused, write_sst

import structnet as sn
from structnet.plugins.tree.nets.shift_reduce import ShiftReduce
from structnet.plugins.tree.nets.thin_stack import step_plan, stream, thin_stack

# The children of every node: single nodes, a node with one child in either slot, a forest, trees
# whose nodes are in no order.
TABLES = {
    "leaf": [[-1, -1]],
    "two": [[1, 2], [-1, -1], [-1, -1]],
    "unary": [[1, -1], [-1, 2], [-1, -1]],
    "forest": [[-1, -1], [3, 2], [-1, -1], [-1, -1], [-1, -1]],
    "order": [[-1, -1], [-1, -1], [0, 4], [-1, -1], [3, 1]],
    "left": [[1, 2], [3, 4], *[[-1, -1]] * 3],
}


def drawn(leaves, seed):
    """A random binary tree, its nodes numbered at random."""
    random = np.random.default_rng(seed)
    table, top = [[-1, -1] for _ in range(leaves)], list(range(leaves))
    while len(top) > 1:
        at = int(random.integers(len(top) - 1))
        table.append(top[at : at + 2])
        top[at : at + 2] = [len(table) - 1]
    number = random.permutation(len(table))
    found = np.full((len(table), 2), -1)
    for node, children in enumerate(table):
        found[number[node]] = [number[child] if child >= 0 else -1 for child in children]
    return found


BATCHES = {name: [np.array(table)] for name, table in TABLES.items()}
BATCHES["all"] = [np.array(table) for table in TABLES.values()]
BATCHES["drawn"] = [drawn(leaves, seed) for seed, leaves in enumerate([1, 2, 7, 1, 12, 3, 5])]


def by_hand(table):
    """What a stack of nodes gives for one sample: (node, what it takes), step by step."""

    def walk(node):
        for child in table[node]:
            if child >= 0:
                yield from walk(child)
        yield node

    below = {child for row in table.tolist() for child in row}
    steps, stack, found = [], [], []
    for root in range(len(table)):
        if root not in below:
            steps += walk(root)
    for node in steps:
        count = int((table[node] >= 0).sum())
        found.append((node, stack[len(stack) - count :]))
        stack[len(stack) - count :] = [node]
    return found


@pytest.mark.parametrize("name", BATCHES)
def test_the_thin_stack_is_a_stack(name):
    tables = BATCHES[name]
    ptr = np.cumsum([0, *map(len, tables)])
    joined = np.concatenate(
        [np.where(t >= 0, t + a, -1) for t, a in zip(tables, ptr, strict=False)]
    )
    nodes, times = stream(joined, ptr)
    taken = thin_stack(joined[nodes] >= 0, ptr)
    for sample, table in enumerate(tables):
        mine = slice(ptr[sample], ptr[sample + 1])
        assert times[mine].tolist() == [*range(len(table))]
        steps = zip((nodes[mine] - ptr[sample]).tolist(), taken[mine].tolist(), strict=True)
        found = [
            (node, [int(nodes[i] - ptr[sample]) for i in row if i >= 0]) for node, row in steps
        ]
        assert found == by_hand(table)


@pytest.mark.parametrize("name", BATCHES)
def test_every_step_is_a_level_of_the_plan(name):
    tables = BATCHES[name]
    (plan,) = sn.topologies.create("tree").plan(tables)
    stepwise = step_plan(plan)
    assert torch.equal(stepwise.sinks, plan.sinks)
    reduces = {time for table in tables for time, (_, taken) in enumerate(by_hand(table)) if taken}
    assert len(stepwise.levels) - 1 == 1 + len(reduces)


def test_a_stream_that_reduces_too_much_is_refused():
    filled = np.array([[False, False], [True, True]])
    with pytest.raises(ValueError, match="sample 0, step 1: reduces more than the stack holds"):
        thin_stack(filled, np.array([0, 2]))


def nets(cell="lstm", **options):
    """Net shift_reduce and net stack with the same weights, in float64."""
    sizes = sn.Sizes(None, 3, 4)
    given = dict(topology="tree", cell=cell, readout="every", hidden_size=5, dropout=0.0, **options)
    made = ShiftReduce(sizes, **given).double()
    stack = sn.Net(sizes, **given).double()
    stack.load_state_dict(made.net.state_dict())
    return made, stack


def batch_of(tables, seed=0):
    random = np.random.default_rng(seed)
    samples = [
        sn.Sample(table, random.normal(size=(len(table), 3)), np.zeros(len(table), np.int64))
        for table in tables
    ]
    return sn.collate(samples, sn.topologies.create("tree"))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("name", BATCHES)
def test_states_and_gradients_are_those_of_the_tree(name, cell):
    made, stack = nets(cell, num_layers=2)
    results = []
    for net, module in ((made, made.net), (stack, stack)):
        batch = batch_of(BATCHES[name])
        x = batch.x.clone().requires_grad_()
        given = replace(batch, x=x)
        states, scores = net.states(given), net(given)
        (scores.square().sum() + states.sin().sum()).backward()
        gradients = [one.grad for one in module.parameters() if one.grad is not None]
        results.append([states, scores, x.grad, *gradients])
    for left, right in zip(*results, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


def test_other_structures_than_binary_trees_are_refused():
    sizes = sn.Sizes(None, 3, 4)
    for topology, options in (("tree", {"arity": None}), ("tree", {"arity": 3}), ("chain", {}),
                              ("tree", {"direction": "both"})):  # fmt: skip
        on = sn.topologies.create(topology, **options)
        with pytest.raises(ValueError, match="take topology=tree with arity=2 and direc"):
            ShiftReduce(sizes, on, "lstm", "every")


@pytest.mark.slow
def test_it_trains_and_predicts_from_the_command_line(tmp_path):
    root, run = write_sst(tmp_path / "sst"), tmp_path / "run"
    words = ("task=sst", "net=shift_reduce", f"task.root={root}", *SMALL)
    status, _, err = call("train", *words, "topology=tree", f"run={run}", "trainer.max_epochs=1")
    assert status == 0, err
    status, out, err = call("predict", f"run={run}", f"path={root / 'test.txt'}")
    assert status == 0 and len(out.strip().split("\n")) == 8, err
    assert "builds binary trees" in refused("train", *words, "topology=chain", f"run={run}2")


@pytest.mark.slow
def test_a_tree_of_100_000_levels_is_built():
    depth = 100_000
    table = np.full((2 * depth + 1, 2), -1)
    inner = np.arange(0, 2 * depth, 2)
    table[inner] = np.stack([inner + 2, inner + 1], axis=1)
    made, stack = nets()
    batch = batch_of([table])
    torch.testing.assert_close(made(batch), stack(batch), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@needs_sst
def test_a_net_on_sst_is_the_same_net():
    task = sn.tasks.create("sst")
    topology = sn.topologies.create("tree")
    splits = task.keep(task.load(topology))
    batch = sn.collate(splits["test"][:64], topology)
    sizes = sn.Sizes(task.vocabulary, None, 5)
    given: dict = {"topology": "tree", "cell": "lstm", "readout": "every"}
    given |= {"dropout": 0.0, "word_dropout": 0.0}
    made = ShiftReduce(sizes, **given).double()
    stack = sn.Net(sizes, **given).double()
    stack.load_state_dict(made.net.state_dict())
    torch.testing.assert_close(made(batch), stack(batch), rtol=1e-12, atol=1e-12)
