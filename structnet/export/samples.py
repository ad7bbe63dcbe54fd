"""Samples in JSON, as the plans and inputs of `Model.run`; with numpy alone.

A sample is {"tokens": [...]} with a word, an id or a list of them for every node, {"features":
[[...], ...]}, or both, "condition": [...] where the net reads one, and "predecessors": {DIRECTION:
[[...], ...]} with those of every node: as many as there are slots, -1 where absent, or any number
of unordered ones; n + j is initial state j of a sample of n nodes. A chain needs no predecessors.
"""

import json
from pathlib import Path

import numpy as np


def read_samples(path, about):
    """The plans, and the input by name, of a file with a sample or a list of them.

    ValueError for what is not as above, with its sample.
    """
    samples = json.loads(Path(path).read_text(encoding="utf-8"))
    return entering(samples if isinstance(samples, list) else [samples], about)


def entering(samples, about):
    """The same for samples that are read already."""
    keys = [key for key, of in (("tokens", "words"), ("features", "input_size")) if about[of]]
    for number, sample in enumerate(samples):
        for key in keys:
            _check(number, sample, key, about)
        size = about["condition_size"]
        if size and len(sample.get("condition", ())) != size:
            raise ValueError(f'sample {number} has no "condition" of {size} numbers')
    pairs = list(zip(about["directions"], about["arities"], strict=True))
    tables = [[_predecessors(one, name, keys[0], about) for one in samples] for name, _ in pairs]
    plans = [schedule(one, arity) for one, (_, arity) in zip(tables, pairs, strict=True)]
    given = {}
    if about["condition_size"]:
        given["condition"] = np.array([one["condition"] for one in samples], np.float32)
    if "features" in keys:
        given["x"] = np.array([row for one in samples for row in one["features"]], np.float32)
    return plans, {**given, **(_tokens(samples, about) if "tokens" in keys else {})}


def _tokens(samples, about):
    known = {word: number for number, word in enumerate(about["words"])}
    bags = [bag if isinstance(bag, list) else [bag] for one in samples for bag in one["tokens"]]
    # Number 0 is the unknown word.
    ids = [known.get(one, 0) if isinstance(one, str) else one for bag in bags for one in bag]
    if any(not 0 <= one < len(known) for one in ids):
        raise ValueError(f"an id of a token is below 0 or not below {len(known)}")
    ptr = np.cumsum([0, *map(len, bags)])
    node = np.repeat(np.arange(len(bags)), np.diff(ptr))
    return {"ids": np.array(ids, np.int64), "node": node, "ptr": ptr}


def _check(number, sample, key, about):
    if not isinstance(sample, dict) or not isinstance(sample.get(key), list) or not sample[key]:
        raise ValueError(f'sample {number} has no list "{key}" with an entry per node')
    if about["edge_size"]:
        raise ValueError("samples with features of edges are given to Model.run as plans")
    if key == "features":
        width = about["input_size"]
        if any(not isinstance(row, list) or len(row) != width for row in sample[key]):
            raise ValueError(f"sample {number}: every node has a list of {width} features")
    given = sample.get("predecessors")
    if given is None and about["chain"]:
        return
    for name, arity in zip(about["directions"], about["arities"], strict=True):
        table = given.get(name) if isinstance(given, dict) else None
        if not isinstance(table, list) or len(table) != len(sample[key]):
            raise ValueError(f'sample {number} has no "predecessors" of every node for {name!r}')
        for node, before in enumerate(table):
            limit = len(table) * (2 if about["initial"] else 1)
            if arity is not None and len(before) != arity:
                raise ValueError(f"sample {number}, node {node} has not {arity} predecessors")
            if any(type(one) is not int or not -1 <= one < limit for one in before):
                raise ValueError(f"sample {number}, node {node}: {before} is out of range")


def _predecessors(sample, direction, key, about):
    if "predecessors" in sample:
        return sample["predecessors"][direction]
    n = len(sample[key])
    if about["chain"][direction] == "forward":
        return [[step - 1 if step else n] for step in range(n)]
    return [[step + 1] for step in range(n)]


def schedule(samples, arity):
    """The plan of a batch in one direction, given the predecessors of every node of each sample.

    ValueError for predecessors that lead in a circle.
    """
    ptr = np.cumsum([0, *map(len, samples)])
    count, rows, present = int(ptr[-1]), [], []
    for start, nodes in zip(ptr.tolist(), samples, strict=False):
        # A node without predecessors counts the null state in the first slot its sample fills.
        slots = [slot for before in nodes for slot, one in enumerate(before) if one >= 0]
        first = min(slots) if slots and arity else 0
        for before in nodes:
            before = before if arity else [one for one in before if one >= 0] or [-1]
            filled = [one >= 0 for one in before]
            present.append(filled if any(filled) else [at == first for at in range(len(before))])
            rows.append([_row(one, start, len(nodes), count) for one in before])
    degree = np.array(list(map(len, rows)))
    level = _levels(np.repeat(np.arange(count), degree), np.concatenate(rows) - 1 - count, count)
    order = np.lexsort((degree, level))
    rank = np.argsort(order)
    flat = np.concatenate([rows[node] for node in order])
    # Until now a node stood in place of its rank.
    nodes = flat > count
    read = flat[nodes] - 1 - count
    flat[nodes] = 1 + count + rank[read]
    each, level = degree[order], level[order]
    begin = np.flatnonzero(np.diff(level, prepend=-1) | np.diff(each, prepend=-1))
    offset = np.cumsum(each) - each
    steps = np.stack([begin, np.append(begin[1:], count), each[begin], offset[begin]], 1)
    return {
        "order": order,
        "rank": rank,
        "rows": flat,
        "steps": steps,
        "sinks": np.setdiff1d(np.arange(count), read),
        "ptr": ptr,
        "num_initial": count,
        "present": np.concatenate([present[node] for node in order]),
    }


def _row(one, start, size, count):
    """The row of a predecessor in the state buffer; initial states are numbered as nodes are."""
    if one < 0:
        return 0
    return 1 + start + one - size if one >= size else 1 + count + start + one


def _levels(target, source, count):
    """The level of every node: one more than the highest of its predecessors."""
    inner, level = source >= 0, np.zeros(count, np.int64)
    for _ in range(count + 1):
        above = level.copy()
        np.maximum.at(above, target[inner], level[source[inner]] + 1)
        if (above == level).all():
            return level
        level = above
    raise ValueError("the predecessors lead in a circle: no node may depend on itself")


def answers(rows, about):
    """Of every row of outputs the most probable class, or its number, or its scores."""
    if about["classes"] is None:
        return rows.tolist()
    shares = np.exp(rows - rows.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    best = zip(shares.argmax(1).tolist(), shares.max(1).tolist(), strict=True)
    return [{"class": about["classes"][at], "probability": round(p, 6)} for at, p in best]
