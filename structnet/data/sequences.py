"""Batches of sequences in torch's forms: padded, packed, nested or unbatched.

B: samples, L: steps of the longest, N: steps of all, I: features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from structnet.topology.order import reorder


class SizeError(ValueError, RuntimeError):
    """A tensor of a wrong size: a ValueError, and a RuntimeError, which torch raises for it."""


@dataclass(frozen=True)
class Sequences:
    """The steps of a batch of sequences.

    Arguments:
        data: all steps (N, I), one sample after the other.
        lengths: the number of steps of each sample.
        restore: brings outputs (N, O) into the form that the sequences were given in.
        is_batched: whether it is not a single sequence without a batch dimension.
    """

    data: Tensor
    lengths: tuple[int, ...]
    restore: Callable[[Tensor], Any]
    is_batched: bool = True

    @property
    def are_equally_long(self) -> bool:
        return len(set(self.lengths)) == 1


def read_sequences(
    x: Tensor | PackedSequence, lengths: Sequence[int] | Tensor | None, batch_first: bool
) -> Sequences:
    """Read sequences in any of torch's forms.

    ValueError for another number of dimensions, and for lengths that are not one per sample, not
    within 1 to L, or given for a form that has its own.

    Arguments:
        x: padded, (B, L, I) if `batch_first`, else (L, B, I); unbatched (L, I); packed; or nested.
        lengths: the lengths of padded sequences (B,); by default all are L.
        batch_first: whether the first dimension of padded sequences is the batch.
    """
    if isinstance(x, PackedSequence):
        _check_no(lengths, "a PackedSequence")
        return _read_packed(x)
    if x.is_nested:
        _check_no(lengths, "a nested tensor")
        return _read_nested(x)
    if x.dim() == 2:
        _check_no(lengths, "an unbatched input")
        whole = _read_padded(x[None], None, batch_first=True)
        return replace(whole, restore=lambda h: h, is_batched=False)
    if x.dim() != 3:
        raise ValueError(f"input is of 3 dimensions, or of 2 unbatched, got shape {tuple(x.shape)}")
    return _read_padded(x, lengths, batch_first)


def pack_order(lengths: Sequence[int], order: Tensor) -> tuple[Tensor, Tensor]:
    """The indices of the steps in packed order (N,), and the `batch_sizes`.

    Arguments:
        lengths: the number of steps of each sample.
        order: the samples (B,), longest first.
    """
    sizes = torch.tensor(lengths, dtype=torch.long, device="cpu")
    step = torch.arange(max(lengths, default=0), device="cpu")[:, None]
    is_there = step < sizes[order]
    starts = sizes.cumsum(0) - sizes
    return (starts[order] + step)[is_there], is_there.sum(1)


def invert(order: Tensor) -> Tensor:
    """The inverse of a permutation."""
    places = torch.arange(len(order), device=order.device)
    return torch.empty_like(order).scatter_(0, order, places)


def _check_no(lengths: Any, what: str) -> None:
    if lengths is not None:
        raise ValueError(f"lengths are for padded batches, but {what} has its own: leave them out")


def _read_padded(x: Tensor, lengths: Sequence[int] | Tensor | None, batch_first: bool) -> Sequences:
    x = x if batch_first else x.transpose(0, 1)
    count, longest = x.shape[:2]
    if longest == 0:
        raise SizeError(f"a sequence has at least one step, got input of {longest} steps")

    def shape(h: Tensor) -> Tensor:
        h = h.unflatten(0, (count, longest))
        return h if batch_first else h.transpose(0, 1).contiguous()

    data = x.flatten(0, 1)
    sizes = None if lengths is None else _checked(lengths, count, longest)
    if sizes is None or bool((sizes == longest).all()):
        return Sequences(data, (longest,) * count, shape)
    kept = (
        (torch.arange(longest, device="cpu") < sizes[:, None])
        .flatten()
        .nonzero()[:, 0]
        .to(x.device)
    )

    def restore(h: Tensor) -> Tensor:
        return shape(h.new_zeros(count * longest, h.shape[1]).index_copy(0, kept, h))

    return Sequences(data.index_select(0, kept), tuple(sizes.tolist()), restore)


def _checked(lengths: Sequence[int] | Tensor, count: int, longest: int) -> Tensor:
    given = lengths if isinstance(lengths, Tensor) else torch.tensor(lengths, device="cpu")
    sizes = given.cpu()
    if sizes.shape != (count,) or (count and (sizes.is_floating_point() or sizes.is_complex())):
        raise ValueError(
            f"lengths must be an integer for each of {count} samples, got {sizes.tolist()}; "
            "batch_first says which dimension of the input is the batch"
        )
    wrong = ((sizes < 1) | (sizes > longest)).nonzero()
    if len(wrong):
        sample = int(wrong[0])
        raise ValueError(
            f"the length of sample {sample} is {int(sizes[sample])}, but must be from 1 to the "
            f"{longest} steps of the input"
        )
    return sizes


def _read_packed(x: PackedSequence) -> Sequences:
    if x.data.dim() != 2:
        raise SizeError(f"the data of a PackedSequence must be (N, I), got {tuple(x.data.shape)}")
    count = int(x.batch_sizes[0])
    samples = torch.arange(count, device="cpu")
    order = samples if x.sorted_indices is None else x.sorted_indices.cpu()
    sizes = (x.batch_sizes[:, None] > samples).sum(0)[invert(order)]
    lengths = tuple(sizes.tolist())
    index, _ = pack_order(lengths, order)
    packed, flat = index.to(x.data.device), invert(index).to(x.data.device)

    def restore(h: Tensor) -> PackedSequence:
        return x._replace(data=reorder(h, packed, flat))

    return Sequences(reorder(x.data, flat, packed), lengths, restore)


def _read_nested(x: Any) -> Sequences:
    if x.dim() != 3:
        raise ValueError(f"a nested tensor of sequences is (B, L, I), got {x.dim()} dimensions")
    samples = x.unbind()
    lengths = tuple(map(len, samples))
    if 0 in lengths:
        raise ValueError(f"a sequence has at least one step, sample {lengths.index(0)} has none")

    def restore(h: Tensor) -> Tensor:
        if x.layout is torch.jagged and x.is_contiguous():
            # With the offsets of x, torch knows that both have the same ragged shape.
            return torch.nested.nested_tensor_from_jagged(h, x.offsets())
        return torch.nested.as_nested_tensor(list(h.split(lengths)), layout=x.layout)

    return Sequences(torch.cat(samples), lengths, restore)
