"""Dropout with cheap random bits."""

import pytest
import torch

from structnet.nn.dropout import UNITS, dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_entries_are_dropped_with_the_probability_and_the_others_scaled_up(rate, dtype):
    torch.manual_seed(0)
    count = 400_003
    dropped = dropout(torch.ones(count, dtype=dtype), rate, True)
    assert dropped.dtype == dtype and dropped.shape == (count,)
    zeros, factor = (dropped == 0).sum().item(), dropped.max().item()
    assert zeros + (dropped == factor).sum().item() == count
    assert factor == torch.tensor(UNITS / (UNITS - round(rate * UNITS)), dtype=dtype).item()
    # Four standard deviations.
    assert abs(zeros / count - rate) < 4 * (rate * (1 - rate) / count) ** 0.5


def test_what_is_dropped_follows_from_the_seed_alone():
    h = torch.randn(7, 5)
    torch.manual_seed(3)
    first = dropout(h, 0.4, True)
    other = dropout(h, 0.4, True)
    torch.manual_seed(3)
    numbers = torch.empty(9, dtype=torch.int64).random_(-(2**63), None)
    torch.manual_seed(3)
    again = dropout(2 * h, 0.4, True)
    assert torch.equal(again, 2 * first) and not torch.equal(first == 0, other == 0)
    # Four entries by each number of 64 bits, the lowest 16 first.
    units = [(number >> shift) % UNITS for number in numbers.tolist() for shift in (0, 16, 32, 48)]
    signed = [unit - UNITS if unit >= UNITS // 2 else unit for unit in units[:35]]
    kept = torch.tensor([unit + UNITS // 2 >= round(0.4 * UNITS) for unit in signed]).view(7, 5)
    assert torch.equal(first != 0, kept)


def test_gradients_are_dropped_and_scaled_like_the_entries():
    h = torch.full((20, 9), 2.0, requires_grad=True)
    dropped = dropout(h, 0.25, True)
    (grad,) = torch.autograd.grad(dropped.sum(), h)
    assert torch.equal(2 * grad, dropped.detach()) and (grad == 0).any() and (grad > 1).any()


def test_nothing_is_dropped_without_training_or_by_a_rate_of_0():
    h = torch.randn(3, 4)
    assert dropout(h, 0.5, False) is h and dropout(h, 0.0, True) is h


def test_a_rate_close_to_1_leaves_finite_numbers():
    dropped = dropout(torch.ones(10 * UNITS), 0.999999, True)
    assert dropped.isfinite().all() and 0 < (dropped != 0).sum() < 40


def test_no_entries_are_dropped_of_none():
    assert dropout(torch.ones(0, 4), 0.5, True).shape == (0, 4)


def test_it_compiles_in_one_piece():
    compiled = torch.compile(
        lambda h: dropout(h, 0.5, True) + 1, fullgraph=True, backend="aot_eager"
    )
    assert set(compiled(torch.ones(30, 30)).unique().tolist()) == {1.0, 3.0}
