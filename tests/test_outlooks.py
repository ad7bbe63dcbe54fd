"""What nets' outputs say of numbers not known yet, beside scipy and the definitions."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from structnet.plugins.sequence.forecast import scores
from structnet.plugins.sequence.forecast.outlooks import OUTLOOKS, normal_crps
from structnet.plugins.sequence.forecast.scaling import naive_error, scale_of
from structnet.plugins.tables.scoring import pinball

LEVELS = (0.1, 0.5, 0.9)
Y = torch.tensor([0.0, 1.0, 3.0, 8.0, 20.0], dtype=torch.float64)
CENTRE, DEVIATION = torch.zeros(5).double(), torch.full((5,), 4.0).double()


def outputs(size, seed=0):
    return torch.randn(5, size, generator=torch.Generator().manual_seed(seed)).double()


def softplus(x):
    return np.log1p(np.exp(x.numpy()))


def made(goal):
    """An outlook, outputs, and scipy's distributions of them: frozen, or mixed by shares."""
    outlook = OUTLOOKS[goal](LEVELS)
    o = outputs(outlook.size)
    if goal == "normal":
        parameters = zip(o[:, 0].numpy(), softplus(o[:, 1]) + 1e-3, strict=True)
        return outlook, o, [(np.ones(1), stats.norm(4 * m, 4 * s)) for m, s in parameters]
    if goal == "negative_binomial":
        mean, number = 4 * softplus(o[:, 0]), 2 / softplus(o[:, 1])
        return (
            outlook,
            o,
            [(np.ones(1), stats.nbinom(n, n / (n + m))) for m, n in zip(mean, number, strict=True)],
        )
    shares = o[:, :3].softmax(1).numpy()
    return outlook, o, [
        (share, stats.norm(4 * m, 4 * s)) for share, m, s in
        zip(shares, o[:, 3:6].numpy(), softplus(o[:, 6:]) + 1e-3, strict=True)
    ]  # fmt: skip


DISTRIBUTIONS = ("normal", "negative_binomial", "mixture")


def cdf(mixed, x):
    shares, parts = mixed
    return float(np.sum(shares * parts.cdf(x)))


@pytest.mark.parametrize("goal", DISTRIBUTIONS)
def test_the_loss_is_the_negative_log_likelihood(goal):
    outlook, o, mixed = made(goal)
    found = outlook.loss(o, Y, CENTRE, DEVIATION)
    for y, (shares, parts), loss in zip(Y.numpy(), mixed, found, strict=True):
        density = parts.pmf(y) if goal == "negative_binomial" else parts.pdf(y) * 4
        assert loss.item() == pytest.approx(-np.log(np.sum(shares * density)), rel=1e-6)


@pytest.mark.parametrize("goal", DISTRIBUTIONS)
def test_quantiles_are_those_of_the_distribution(goal):
    outlook, o, mixed = made(goal)
    found = outlook.quantiles(o, CENTRE, DEVIATION)
    assert found.shape == (5, 3) and (found.diff(dim=1) >= 0).all()
    assert torch.equal(found[:, 1], outlook.point(o, CENTRE, DEVIATION))
    for row, one in zip(found.numpy(), mixed, strict=True):
        for level, quantile in zip(LEVELS, row, strict=True):
            if goal == "negative_binomial":
                # The smallest count with so much below or at it.
                assert cdf(one, quantile) >= level > cdf(one, quantile - 1)
            else:
                assert cdf(one, quantile) == pytest.approx(level, abs=1e-6)


@pytest.mark.parametrize("goal", DISTRIBUTIONS)
def test_the_crps_is_the_squared_distance_of_the_distribution_functions(goal):
    outlook, o, mixed = made(goal)
    found = outlook.crps(o, Y, CENTRE, DEVIATION)
    for y, one, score in zip(Y.numpy(), mixed, found, strict=True):
        if goal == "negative_binomial":
            expected = sum((cdf(one, k) - (k >= y)) ** 2 for k in range(3000))
        else:
            low = integrate.quad(lambda x, one=one: cdf(one, x) ** 2, -80, y, limit=500)[0]
            high = integrate.quad(lambda x, one=one: (1 - cdf(one, x)) ** 2, y, 120, limit=500)[0]
            expected = low + high
        assert score.item() == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("goal", DISTRIBUTIONS)
def test_samples_have_the_distribution(goal):
    outlook, o, mixed = made(goal)
    drawn = outlook.sample(o, CENTRE, DEVIATION, 4000, torch.Generator().manual_seed(0))
    assert drawn.shape == (5, 4000)
    for row, one in zip(drawn.numpy(), mixed, strict=True):
        at = np.quantile(row, 0.3)
        assert abs(np.mean(row <= at) - cdf(one, at)) < 0.03


def test_losses_have_finite_gradients_at_the_edges():
    for goal, outlook in OUTLOOKS.items():
        for size in (0.0, 30.0, -30.0):
            made = outlook(LEVELS)
            o = torch.full((2, made.size), size, requires_grad=True)
            y, one = torch.tensor([0.0, 1e6]), torch.ones(2)
            made.loss(o, y, 0 * one, one).sum().backward()
            assert o.grad is not None and o.grad.isfinite().all(), (goal, size)


def test_the_best_quantile_has_so_much_of_the_data_below():
    y = torch.randn(2001, generator=torch.Generator().manual_seed(0)).double()
    grid = torch.linspace(-3, 3, 1201, dtype=torch.float64)
    losses = pinball(grid[:, None].expand(-1, 3).unsqueeze(0), y[:, None].expand(-1, 1201), LEVELS)
    best = grid[losses.mean(0).argmin(0)]
    assert torch.allclose(best, y.quantile(torch.tensor(LEVELS).double()), atol=0.02)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [((0.1, 0.9), 15.0), ((0.2, 0.6), 17.5), ((0.1, 0.5, 0.9), 20.0), ((0.5,), 10.0),
     ((0.3, 0.4, 0.6, 0.7), 25.0), ((0.5, 0.9), 10.0)],
)  # fmt: skip
def test_without_a_level_of_one_half_the_forecast_lies_between_those_around_it(levels, expected):
    outlook = OUTLOOKS["quantiles"](levels)
    o = 10 * torch.arange(1.0, 1 + len(levels))[None]
    one = torch.ones(1)
    assert outlook.point(o, 0 * one, one).item() == pytest.approx(expected)


def test_levels_on_one_side_of_one_half_say_nothing_of_the_median():
    for levels in ((0.1, 0.2), (0.9,)):
        with pytest.raises(ValueError, match=r"levels on both sides of it, as the forecast"):
            OUTLOOKS["quantiles"](levels)


def test_crossed_quantiles_are_put_in_order_and_the_middle_one_is_the_forecast():
    outlook = OUTLOOKS["quantiles"](LEVELS)
    o = torch.tensor([[2.0, 0.0, 1.0]])
    centre, deviation = torch.tensor([10.0]), torch.tensor([2.0])
    assert outlook.quantiles(o, centre, deviation).tolist() == [[10, 12, 14]]
    assert outlook.point(o, centre, deviation).tolist() == [12]


def test_measures_are_those_of_the_definitions():
    y = torch.tensor([2.0, 0.0, 4.0]).double()
    point = torch.tensor([1.0, 0.0, 8.0]).double()
    naive = torch.tensor([2.0, 2.0, 4.0]).double()
    quantiles = torch.tensor([[0.0, 1.0, 1.5], [0.0, 0.0, 0.0], [3.0, 8.0, 9.0]]).double()
    found = scores.figures(scores.sums(y, naive, point, LEVELS, quantiles, crps=y))
    assert found["mase"] == pytest.approx((1 / 2 + 0 + 4 / 4) / 3)
    assert found["smape"] == pytest.approx((200 * 1 / 3 + 0 + 200 * 4 / 12) / 3)
    assert found["mae"] == pytest.approx(5 / 3)
    assert found["rmse"] == pytest.approx((17 / 3) ** 0.5)
    assert found["coverage_80"] == pytest.approx(2 / 3)
    losses = [0.1 * 2 + 0.5 * 1 + 0.9 * 0.5, 0, 0.1 * 1 + 0.5 * 4 + 0.1 * 5]
    assert found["quantile_loss"] == pytest.approx(2 * sum(losses) / 3 / 6)
    scaled = sum(2 * loss / 3 / n for loss, n in zip(losses, (2, 2, 4), strict=True)) / 3
    assert found["scaled_quantile_loss"] == pytest.approx(scaled)
    assert found["crps"] == pytest.approx(2)
    assert list(found) == scores.names(LEVELS, True, True)
    assert "crps" not in scores.names((0.5,), True, False)
    assert not any(name.startswith("coverage") for name in scores.names((0.5,), True, False))


def test_metrics_add_up_over_batches():
    sums = scores.sums(torch.tensor([1.0, 5.0]), torch.ones(2), torch.tensor([2.0, 2.0]))
    metrics = scores.measures(list(sums))
    for name, metric in metrics.items():
        for row in (0, 1):
            metric.update(*(part[row : row + 1] for part in sums[name]))
        assert metric.compute().item() == pytest.approx(scores.figures(sums)[name])


def test_the_crps_of_a_certain_forecast_is_its_error():
    y, sigma = torch.tensor([3.0]), torch.tensor([1e-6])
    assert normal_crps(y, torch.zeros(1), sigma).item() == pytest.approx(3, rel=1e-5)


@pytest.mark.parametrize(
    ("values", "way", "expected"),
    [
        ([1.0, 3.0, np.nan, 5.0], "standard", (3, (8 / 3) ** 0.5, 2)),
        ([1.0, 3.0, np.nan, -5.0], "absolute", (0, 3, 2)),
        ([2.0, 4.0], "none", (0, 1, 2)),
        # Constant, zero, a single value and none known.
        ([7.0, 7.0, 7.0], "standard", (7, 7, 7)),
        ([0.1] * 30, "standard", (0.1, 0.1, 0.1)),
        ([0.0, 0.0], "standard", (0, 1, 1)),
        ([0.0, 0.0], "absolute", (0, 1, 1)),
        ([4.0], "standard", (4, 4, 4)),
        ([np.nan, np.nan], "standard", (0, 1, 1)),
    ],
)
def test_scales(values, way, expected):
    scale = scale_of(np.array(values)[:, None], way, 1)
    assert [part.item() for part in scale] == pytest.approx(expected)


def test_the_naive_error_is_that_of_a_season_before():
    values = np.array([1.0, 5, 2, 5, np.nan, 9])[:, None]
    assert naive_error(values, 2).item() == pytest.approx((1 + 0 + 4) / 3)
    # Too short for a season: that of the value before.
    assert naive_error(values[:2], 2).item() == 4
