"""Episodes: sequences whose states are reset within, cut there into chains that run side by side.

B: samples, L: steps, N: steps of all samples, C: chains, D: directions, S: size of a state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from structnet.cell.call import States
from structnet.data.sequences import Sequences, SizeError, read_sequences


@dataclass(frozen=True)
class Episodes:
    """Where the samples of a batch are cut into chains, one after the other.

    Arguments:
        lengths: the number of steps of each chain.
        first: the chain that each sample begins with (B,).
        last: the chain that each sample ends with (B,).
        begins: whether each sample begins with a new episode (B,).
    """

    lengths: tuple[int, ...]
    first: Tensor
    last: Tensor
    begins: Tensor

    def cut(self, sequences: Sequences) -> Sequences:
        """The chains as sequences: their steps follow each other as those of the samples do."""
        return replace(sequences, lengths=self.lengths)

    def initial(self, states: States | None) -> States | None:
        """The initial states (D * num_layers, C, S) of the chains, given those of the samples."""
        if states is None:
            return None
        states = tuple(zero_rows(state, self.begins, dim=1) for state in states)
        if len(self.lengths) == len(self.first):
            return states
        empty = [s.new_zeros(len(s), len(self.lengths), s.shape[2]) for s in states]
        pairs = zip(empty, states, strict=True)
        return tuple(e.index_copy(1, self.first.to(s.device), s) for e, s in pairs)

    def final(self, states: States) -> States:
        """The final states (D * num_layers, B, S) of the samples, given those of the chains."""
        if len(self.lengths) == len(self.last):
            return states
        return tuple(state.index_select(1, self.last.to(state.device)) for state in states)


def read_starts(rnn: Any, input: Any, starts: Any) -> Tensor:
    """Whether an episode begins at each step: booleans of the shape of `input` without features.

    ValueError for a bidirectional RNN, for packed and nested inputs, and for what `as_starts`
    rejects.
    """
    if rnn.bidirectional:
        raise ValueError(
            "episode_starts reset states on the way forward, and a bidirectional RNN also reads "
            "from the end of a sequence, which an agent has not seen: make it with "
            "bidirectional=False"
        )
    if isinstance(input, PackedSequence) or input.is_nested:
        raise ValueError(
            "episode_starts are for padded and unbatched inputs, got a "
            f"{'nested tensor' if isinstance(input, Tensor) else 'PackedSequence'}: give a padded "
            "tensor and lengths"
        )
    if torch.compiler.is_exporting():
        raise ValueError(
            "episode_starts cut sequences where their values say, which can't be exported: export "
            "the RNN without them, and reset its states between calls"
        )
    return as_starts(starts, input.shape[:-1], input.device)


def as_starts(starts: Any, shape: Sequence[int], device: torch.device) -> Tensor:
    """Starts of episodes as booleans; SizeError for another shape, ValueError for other values."""
    starts = torch.as_tensor(starts, device=device)
    if starts.shape != shape:
        raise SizeError(
            f"starts of episodes are one per row and step, of shape {tuple(shape)}, got "
            f"{tuple(starts.shape)}"
        )
    if starts.dtype == torch.bool:
        return starts
    wrong = ((starts != 0) & (starts != 1)).nonzero()
    if len(wrong):
        place = wrong[0].tolist()
        raise ValueError(
            "starts of episodes are 1 where one begins, else 0, got "
            f"{starts[tuple(place)].item()} at {place}"
        )
    return starts != 0


def read_episodes(
    sequences: Sequences, starts: Tensor, lengths: Any, batch_first: bool
) -> Episodes:
    """Where sequences are cut; `starts` are in the form that these were read in."""
    flat = read_sequences(starts.unsqueeze(-1), lengths, batch_first).data[:, 0].cpu()
    sizes = torch.tensor(sequences.lengths, dtype=torch.long, device="cpu")
    heads = sizes.cumsum(0) - sizes
    cuts = flat.index_fill(0, heads, True).nonzero()[:, 0]
    ends = torch.cat([cuts[1:], torch.tensor([len(flat)], device="cpu")])
    first = torch.searchsorted(cuts, heads)
    last = torch.cat([first[1:], torch.tensor([len(cuts)], device="cpu")]) - 1
    return Episodes(tuple((ends - cuts).tolist()), first, last, flat[heads])


def zero_rows(state: Tensor, rows: Tensor, dim: int) -> Tensor:
    """A state, zero in some rows of a dimension; `rows` are booleans (B,)."""
    inner = [1] * (state.dim() - dim - 1)
    return state.masked_fill(rows.to(state.device).view(-1, *inner), 0)
