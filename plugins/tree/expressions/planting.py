"""Swaps that are planted in files of others, and where a trained net ranks them."""

import ast
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import structnet as sn
from structnet.plugins.code.sources import parse
from structnet.plugins.tree.expressions.expression import Expression, expressions_of

# What a rank is among: the finds of a file, or those of the lines around the swap.
Rank = tuple[int, int]


@dataclass(frozen=True)
class Swap:
    """An expression of a file whose operands were exchanged.

    Arguments:
        path, line: its place.
        text: as it is with its operands exchanged.
        kind: "operation", "comparison" or "call".
        probability: that it is swapped, by the net.
        in_file: its rank among the finds of the file, 1 for the first, and their number.
        in_change: the same of the lines around it.
    """

    path: Path
    line: int
    text: str
    kind: str
    probability: float
    in_file: Rank
    in_change: Rank


@dataclass(frozen=True)
class Bench:
    """What a net found in files, each with a swap and as it was.

    Arguments:
        swaps: one per file.
        lines: the number of lines of the files.
        others: the probabilities of all finds in the files as they were.
        odds: the log-odds of all expressions as they were, if half of all were swapped.
    """

    swaps: Sequence[Swap]
    lines: int
    others: Sequence[float]
    odds: Sequence[float]


def plant(
    run: sn.Run,
    net: Any,
    files: Sequence[Path],
    *,
    count: int = 200,
    finds: int = 1,
    lines: int = 100,
    seed: int = 0,
) -> Bench:
    """Plant one swap in each of several files, drawn at random, and search for it.

    Files that can't be parsed are passed over. Equal texts are one find, as `structnet predict`
    shows them; of finds with equal probabilities the swap is the last.

    Arguments:
        run: of task=swapped.
        net: of the run.
        files: to draw from.
        count: the largest number of files.
        finds: the least number of finds of a file.
        lines: the lines around a swap that count as changed.
        seed: of the draw.
    """
    task: Any = run.task
    draw, prior = np.random.default_rng(seed), _log_odds(task.prior)
    swaps, others, odds, all_lines = [], [], [], 0
    for at in draw.permutation(len(files)).tolist():
        if len(swaps) == count:
            break
        try:
            module = parse(files[at])
        except (SyntaxError, OSError) as error:
            warnings.warn(f"skipped {error}", sn.DataWarning, stacklevel=2)
            continue
        found = list(expressions_of(files[at], module))
        if len({one.text for one, _ in found}) < finds:
            continue
        before: dict[str, float] = {}
        for one, probability in _searched(run, net, [one for one, _ in found]):
            before[one.text] = max(probability, before.get(one.text, 0.0))
            odds.append(_log_odds(probability) - prior)
        others += before.values()
        all_lines += len(files[at].read_bytes().splitlines())
        written, node = found[int(draw.integers(len(found)))]
        exchange(node)
        found = list(expressions_of(files[at], module))
        place = next(number for number, (_, one) in enumerate(found) if one is node)
        searched = _searched(run, net, [one for one, _ in found])
        swaps.append(_swap(written, ast.unparse(node), place, searched, lines))
    return Bench(swaps, all_lines, others, odds)


def _log_odds(probability: float) -> float:
    return math.log(probability) - math.log1p(-probability)


def exchange(node: ast.expr) -> None:
    """Exchange the operands of an operation or a comparison, or a call's first two arguments."""
    if isinstance(node, ast.BinOp):
        node.left, node.right = node.right, node.left
    elif isinstance(node, ast.Compare):
        node.left, node.comparators[0] = node.comparators[0], node.left
    else:
        assert isinstance(node, ast.Call)
        node.args[:2] = node.args[1::-1]


def _searched(run: sn.Run, net: Any, found: Sequence[Expression]) -> list[tuple[Expression, float]]:
    """Expressions with the probabilities that they are swapped."""
    task: Any = run.task
    samples = list(task.ask(found, run.topology))
    batches: Any = sn.loader(
        samples, run.topology, batch_nodes=run.config["trainer"]["batch_nodes"], group=task.group
    )
    probability = [0.0] * len(found)
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            answers = task.answer(net, batch)
            for index, (_, one) in zip(indices[:: task.group], answers, strict=True):
                probability[index // task.group] = one
    return list(zip(found, probability, strict=True))


def _swap(
    written: Expression,
    text: str,
    place: int,
    searched: Sequence[tuple[Expression, float]],
    lines: int,
) -> Swap:
    probability = searched[place][1]
    others = [pair for at, pair in enumerate(searched) if at != place]
    near = [pair for pair in others if abs(pair[0].line - written.line) <= lines // 2]
    ranks = [_rank(probability, some) for some in (others, near)]
    return Swap(written.path, written.line, text, written.kind, probability, *ranks)


def _rank(probability: float, others: Sequence[tuple[Expression, float]]) -> Rank:
    before = {one.text for one, other in others if other >= probability}
    return 1 + len(before), 1 + len({one.text for one, _ in others})
