"""Texts in windows of parallel streams, and in sliding windows."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import structnet as sn
from structnet.plugins.sequence.language.streams import (
    Sliding,
    StreamBatches,
    Streams,
    Windows,
    stream_loader,
)

CHAIN = sn.topologies.create("chain")
TEXT = np.random.default_rng(0).integers(1, 7, 104)


def rows(batches):
    """Inputs and targets of every stream, window after window (B, steps)."""
    x = [batch.x.ids.view(batch.num_samples, -1) for batch in batches]
    y = [batch.y.view(batch.num_samples, -1) for batch in batches]
    return torch.cat(x, 1).numpy(), torch.cat(y, 1).numpy()


@pytest.mark.parametrize(
    ("streams", "window", "jitter"), [(1, 7, False), (4, 7, True), (9, 50, True)]
)
def test_streams_predict_every_token_but_the_first_once(streams, window, jitter):
    loader = stream_loader(Windows(TEXT, window), CHAIN, streams, jitter=jitter, seed=1)
    batches = [*loader]
    assert [batch.follows for batch in batches] == [False, *[True] * (len(batches) - 1)]
    x, y = rows(batches)
    assert x.shape == (streams, -(-103 // streams))
    known = y != sn.IGNORE
    assert y[known].tolist() == TEXT[1:].tolist() and x[known].tolist() == TEXT[:-1].tolist()
    # Within a stream the target is the next input.
    assert (y[:, :-1] == x[:, 1:])[known[:, 1:]].all()


def test_a_batch_has_what_collate_makes_of_its_samples():
    loader = stream_loader(Windows(TEXT, 10), CHAIN, 3)
    batch = [*loader][1]
    starts = [0, 34, 68]
    samples = [
        sn.Sample(10, sn.Tokens(TEXT[s + 10 : s + 20], np.arange(11)), TEXT[s + 11 : s + 21])
        for s in starts
    ]
    expected = sn.collate(samples, CHAIN)
    for name in ("y", "ptr", "kind"):
        assert getattr(batch, name).equal(getattr(expected, name)), name
    assert batch.x.ids.equal(expected.x.ids) and batch.x.ptr.equal(expected.x.ptr)
    assert batch.plans[0].levels == expected.plans[0].levels


def test_a_text_in_few_streams_has_longer_windows():
    windows = Windows(TEXT, 10, streams=1)
    loader = stream_loader(windows, CHAIN, 4)
    assert [batch.num_nodes for batch in loader] == [40, 40, 23]
    assert all(batch.num_samples == 1 for batch in loader)
    # More streams than the text has tokens.
    assert [b.num_samples for b in stream_loader(Windows(TEXT[:4], 2), CHAIN, 50)] == [3]


def test_lengths_are_jittered_by_seed_and_epoch():
    streams = Streams(20_000, 70, jitter=True, seed=3)
    lengths = {}
    for epoch in (0, 1):
        streams.set_epoch(epoch)
        lengths[epoch] = [stop - start for start, stop, _ in streams]
        assert sum(lengths[epoch]) == 20_000 and len(streams) == len(lengths[epoch])
    assert lengths[0] != lengths[1]
    halved = [length for length in lengths[0] + lengths[1] if length < 52]
    assert 0.01 < len(halved) / sum(map(len, lengths.values())) < 0.12
    assert 25 < np.mean(halved) < 45 and min(lengths[0][:-1]) >= 5
    others = [length for length in lengths[0] if length >= 52]
    assert 69 < np.mean(others) < 71 and 4 < np.std(others) < 6.5
    streams.set_epoch(0)
    assert [stop - start for start, stop, _ in streams] == lengths[0]
    # A window as short as this stays as it is at least.
    assert min(b - a for a, b, _ in [*Streams(200, 3, jitter=True)][:-1]) == 3


def test_part_of_an_epoch_is_the_same_windows():
    streams = Streams(500, 20, jitter=True, seed=1)
    streams.set_epoch(2)
    whole = [*streams]
    streams.take(3, 6)
    assert [*streams] == whole[3:6] and len(streams) == 3
    assert all(before[1] == after[0] for before, after in pairwise(whole))


def test_lanes_read_the_streams_that_one_lane_would_have():
    """Window after window, of every lane in turn."""
    whole = [*stream_loader(Windows(TEXT, 10), CHAIN, 6)]
    lanes = [*stream_loader(Windows(TEXT, 10), CHAIN, 3, lanes=2)]
    assert len(lanes) == 2 * len(whole) and all(one.num_samples == 3 for one in lanes)
    for number, one in enumerate(whole):
        pair = lanes[2 * number : 2 * number + 2]
        assert torch.cat([lane.x.ids for lane in pair]).equal(one.x.ids)
        assert torch.cat([lane.y for lane in pair]).equal(one.y)
        assert [lane.follows for lane in pair] == [one.follows] * 2


def test_a_text_too_short_for_its_lanes_is_refused():
    with pytest.raises(ValueError, match="4 tokens has no stream for each of 5 lanes"):
        stream_loader(Windows(TEXT[:4], 2), CHAIN, 3, lanes=5)


def test_windows_as_samples_are_the_text():
    windows = Windows(TEXT, 10)
    assert len(windows) == 11 and len(windows[10].x) == 3
    assert np.concatenate([one.x.ids for one in windows]).tolist() == TEXT[:-1].tolist()
    assert np.concatenate([one.y for one in windows]).tolist() == TEXT[1:].tolist()
    with pytest.raises(IndexError):
        windows[11]


def test_sliding_windows_begin_with_steps_without_a_token():
    sliding = Sliding(np.array([5, 6, 7, 8]), 2)
    assert len(sliding) == 3 and [int(one.y) for one in sliding] == [6, 7, 8]
    first, second, last = sliding
    assert first.num_nodes == second.num_nodes == last.structure == 2
    assert (first.x.ids.tolist(), first.x.ptr.tolist()) == ([5], [0, 0, 1])
    assert (second.x.ids.tolist(), second.x.ptr.tolist()) == ([5, 6], [0, 1, 2])
    assert last.x.ids.tolist() == [6, 7]
    assert int(sliding[-1].y) == 8


@pytest.mark.parametrize("cell", ["lstm", "mingru"])
@pytest.mark.parametrize("windows", [1, 2, 103])
def test_one_window_or_a_hundred_predict_the_same(cell, windows):
    torch.manual_seed(0)
    vocabulary = sn.Vocabulary(dict.fromkeys("abcdef", 1))
    options = {"hidden_size": 9, "embedding_size": 5, "num_layers": 2}
    net = sn.nets.create("stack", sn.Sizes(vocabulary, None, 7), CHAIN, cell, "every", **options)
    net = net.double().eval()

    def outputs(window):
        states, found = None, []
        for batch in stream_loader(Windows(TEXT, window, streams=1), CHAIN, 1):
            output, states = net.carry(batch, states if batch.follows else None)
            found.append(output)
        return torch.cat(found)

    with torch.no_grad():
        whole, parts = outputs(103), outputs(-(-103 // windows))
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-12)


def test_the_steps_of_streams_of_any_length_are_read_from_the_text():
    data = StreamBatches(TEXT[:12], 4, CHAIN)
    assert data.starts.tolist() == [0, 2, 5, 8, 11] and data.steps == len(data) == 3


@pytest.mark.slow
def test_a_worker_makes_the_same_batches():
    here, there = (
        [*stream_loader(Windows(TEXT, 10), CHAIN, 3, jitter=True, num_workers=number)]
        for number in (0, 1)
    )
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        assert one.x.ids.equal(other.x.ids) and one.y.equal(other.y)
        assert (one.follows, one.num_samples) == (other.follows, other.num_samples)
