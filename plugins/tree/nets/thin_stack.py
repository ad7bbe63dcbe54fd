"""Trees as streams of shift and reduce, and the stack that builds them.

Bowman et al. (2016), "A fast unified model for parsing and sentence understanding", section 3.4: a
stack holds the numbers of steps, and every step's state is stored once.

N: nodes, B: samples, K: slots, T: steps of the longest sample.
"""

import numpy as np
import torch

import structnet as sn

Ints = np.ndarray


def step_plan(plan: sn.Plan) -> sn.Plan:
    """The plan of the same trees read as streams, all samples a step at a time.

    What is shifted is known beforehand and is the first level, as the paper's buffer is. Then every
    step at which a sample reduces is a level: there are as many as words, where the plan of trees
    has as many as the highest tree.
    """
    table, ptr = _children(plan), plan.ptr.cpu().numpy()
    nodes, times = stream(table, ptr)
    taken = thin_stack(table[nodes] >= 0, ptr)
    read = np.full_like(table, -1)
    read[nodes] = np.where(taken >= 0, nodes[taken], -1)
    level = np.empty(len(nodes), np.int64)
    level[nodes] = np.where((taken >= 0).any(axis=1), times + 1, 0)
    # Steps at which all samples shift are no levels.
    level = np.unique(level, return_inverse=True)[1]
    found = sn.schedule(read, ptr=ptr, levels=level)
    return found.to(plan.order.device)


def stream(table: Ints, ptr: Ints) -> tuple[Ints, Ints]:
    """The nodes (N,) in the order of shifts and reductions, and the step of each in its sample.

    A node without children is shifted, others are reduced, after their children.

    Arguments:
        table: the children of every node (N, K), -1 where absent.
        ptr: sample b owns the nodes `ptr[b]:ptr[b + 1]`.
    """
    is_root = np.ones(len(table), bool)
    is_root[table[table >= 0]] = False
    children, found = table.tolist(), []
    # From the last root on, a node before its children, which come from the last on.
    for root in np.flatnonzero(is_root)[::-1].tolist():
        open_ = [root]
        while open_:
            found.append(node := open_.pop())
            open_.extend(child for child in children[node] if child >= 0)
    sizes = np.diff(ptr)
    times = np.arange(len(table)) - np.repeat(ptr[:-1], sizes)
    return np.array(found[::-1], np.int64), times


def thin_stack(filled: Ints, ptr: Ints) -> Ints:
    """What every step takes off the stack (N, K), as the numbers of steps, -1 where nothing.

    A step takes an item for every slot that it fills, those pushed last in the last slots, and is
    pushed itself. ValueError, with the sample, for a step that takes more than there is.

    Arguments:
        filled: the slots that every step fills (N, K); a shift fills none.
        ptr: the steps of sample b are `ptr[b]:ptr[b + 1]`.
    """
    sizes = np.diff(ptr)
    taken = np.full(filled.shape, -1)
    queue = np.empty((len(sizes), int(sizes.max(initial=0))), np.int64)
    cursor = np.zeros(len(sizes), np.int64)
    # The longest samples first, so that those that go on are a slice.
    longest = np.argsort(-sizes, kind="stable")
    going = np.searchsorted(-sizes[longest], -np.arange(1, queue.shape[1] + 1), side="right")
    for time, count in enumerate(going.tolist()):
        samples = longest[:count]
        steps = ptr[samples] + time
        wanted = filled[steps]
        below = cursor[samples] - wanted.sum(axis=1)
        if (below < 0).any():
            sample = int(samples[below < 0][0])
            raise ValueError(f"sample {sample}, step {time}: reduces more than the stack holds")
        row, slot = np.nonzero(wanted)
        at = below[:, None] + np.cumsum(wanted, axis=1) - 1
        taken[steps[row], slot] = queue[samples[row], at[row, slot]]
        queue[samples, below] = steps
        cursor[samples] = below + 1
    return taken


def _children(plan: sn.Plan) -> Ints:
    """The children of every node (N, K), of a plan of ordered slots."""
    order = plan.order.cpu()
    before = plan.rows.cpu().reshape(len(order), -1) - plan.first_row
    table = torch.where(before >= 0, order[before.clamp(min=0)], -1) if len(order) else before
    return table[plan.rank.cpu()].numpy()
