"""What a net's outputs say of a number that is not known yet: a point, quantiles, a distribution.

o: outputs (..., P) of a target; y, centre, deviation: (...), the target and the scale of its
series. Outputs are in deviations from the centre.
"""

import abc
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from structnet.plugins.tables.scoring import pinball

# The smallest deviation of a normal, in those of the series: a constant series has no likelihood.
LEAST = 1e-3
# Bounds of the dispersion of counts: below, they are a Poisson's to five digits.
DISPERSION = (1e-4, 1e3)
PARTS = 3


class Outlook(abc.ABC):
    """Reads the outputs of a net, `size` of them for each target.

    Arguments:
        levels: of the quantiles that are predicted, ascending, from above 0 to below 1.
    """

    size: int = 1
    # What the outputs are.
    raw = "the forecast"
    # Whether targets are counts, which are scaled without a centre.
    counts = False

    def __init__(self, levels: Sequence[float]):
        """ValueError for levels that are not ascending, or out of range."""
        ascending = all(a < b for a, b in zip([0, *levels], [*levels, 1], strict=True))
        if not levels or not ascending:
            raise ValueError(
                "option 'quantiles' is ascending levels above 0 and below 1, such as "
                f"[0.1,0.5,0.9], got {list(levels)}"
            )
        self.levels = tuple(levels)

    @abc.abstractmethod
    def loss(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        """The loss (...) of every target."""

    @abc.abstractmethod
    def point(self, o: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        """The forecast (...) in the target's unit: the median, where there is one."""

    def quantiles(self, o: Tensor, centre: Tensor, deviation: Tensor) -> Tensor | None:
        """The quantiles (..., Q) of `levels`, ascending; None for a forecast without any."""
        return None

    def crps(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor | None:
        """The continuous ranked probability score (...); None without a distribution."""
        return None


class Point(Outlook):
    """A number, by the absolute error, whose best forecast is the median."""

    def loss(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        return (o[..., 0] - (y - centre) / deviation).abs()

    def point(self, o: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        return o[..., 0] * deviation + centre


class Quantiles(Outlook):
    """A number per level, by the pinball loss (Koenker and Bassett 1978).

    Quantiles that cross are put in order, which never makes the loss larger (Chernozhukov et al.
    2010). ValueError for levels on one side of 1/2 alone, which say nothing of the median.
    """

    def __init__(self, levels: Sequence[float]):
        super().__init__(levels)
        self.size = len(self.levels)
        self.middle = _around_half(self.levels)
        self.raw = f"the quantiles {', '.join(f'{one:g}' for one in levels)}, not put in order"

    def loss(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        return pinball(o, (y - centre) / deviation, self.levels).mean(-1)

    def point(self, o: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        """The median; where 1/2 is no level, on the line between the quantiles around it."""
        below, above, share = self.middle
        every = self.quantiles(o, centre, deviation)
        return torch.lerp(every[..., below], every[..., above], share)

    def quantiles(self, o: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        return o.sort(-1).values * deviation[..., None] + centre[..., None]


class Distribution(Outlook):
    """A distribution, by its negative logarithm at the target."""

    @abc.abstractmethod
    def inverse(self, o: Tensor, centre: Tensor, deviation: Tensor, shares: Tensor) -> Tensor:
        """The numbers (..., S) below which the shares (..., S) of the distribution lie."""

    def point(self, o: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        half = torch.full_like(centre, 0.5)[..., None]
        return self.inverse(o, centre, deviation, half)[..., 0]

    def quantiles(self, o: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        levels = torch.tensor(self.levels, dtype=centre.dtype, device=centre.device)
        return self.inverse(o, centre, deviation, levels.expand(*centre.shape, -1))

    def sample(
        self, o: Tensor, centre: Tensor, deviation: Tensor, count: int, generator: Any = None
    ) -> Tensor:
        """Draw `count` numbers (..., count) for each target, every one by itself."""
        shares = torch.rand(*centre.shape, count, generator=generator, dtype=centre.dtype)
        return self.inverse(o, centre, deviation, shares.to(centre.device))


class Normal(Distribution):
    """A normal distribution: its mean and deviation."""

    size = 2
    raw = "the mean, and the deviation before softplus"

    def loss(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        mean, sigma = o[..., 0], _positive(o[..., 1])
        return -_log_density((y - centre) / deviation, mean, sigma)

    def inverse(self, o: Tensor, centre: Tensor, deviation: Tensor, shares: Tensor) -> Tensor:
        mean, sigma = o[..., :1], _positive(o[..., 1:])
        scaled = mean + sigma * torch.special.ndtri(shares)
        return scaled * deviation[..., None] + centre[..., None]

    def crps(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        mean, sigma = o[..., 0], _positive(o[..., 1])
        return normal_crps((y - centre) / deviation, mean, sigma) * deviation


class Mixture(Distribution):
    """A mixture of three normal distributions: the logits of their shares, means, deviations."""

    size = 3 * PARTS
    raw = "of three normals the logits of shares, the means, and the deviations before softplus"

    def loss(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        shares, mean, sigma = self._parts(o)
        z = ((y - centre) / deviation)[..., None]
        return -(shares.log() + _log_density(z, mean, sigma)).logsumexp(-1)

    def inverse(self, o: Tensor, centre: Tensor, deviation: Tensor, shares: Tensor) -> Tensor:
        """By bisection between the quantiles of the parts, which it lies between."""
        weight, mean, sigma = (part[..., None, :] for part in self._parts(o))
        ends = mean + sigma * torch.special.ndtri(shares)[..., None]
        low, high = ends.amin(-1), ends.amax(-1)
        for _ in range(40):
            middle = (low + high) / 2
            below = (weight * torch.special.ndtr((middle[..., None] - mean) / sigma)).sum(-1)
            low = torch.where(below < shares, middle, low)
            high = torch.where(below < shares, high, middle)
        return (low + high) / 2 * deviation[..., None] + centre[..., None]

    def crps(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        """As by Grimit et al. (2006), eq. 5."""
        shares, mean, sigma = self._parts(o)
        z = ((y - centre) / deviation)[..., None]
        apart = mean[..., :, None] - mean[..., None, :]
        both = (sigma[..., :, None].square() + sigma[..., None, :].square()).sqrt()
        pairs = shares[..., :, None] * shares[..., None, :] * _mean_absolute(apart, both)
        first = (shares * _mean_absolute(z - mean, sigma)).sum(-1)
        return (first - pairs.sum((-2, -1)) / 2) * deviation

    def _parts(self, o: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, mean, sigma = o.split(PARTS, -1)
        # A share of 0 has no logarithm.
        shares = logits.softmax(-1).clamp(min=torch.finfo(o.dtype).tiny)
        return shares, mean, _positive(sigma)


class NegativeBinomial(Distribution):
    """Counts, more dispersed than a Poisson's: their mean and dispersion (Salinas et al. 2020).

    The variance is mean + dispersion * mean^2, and outputs are scaled as in section 3.3 there.
    """

    size = 2
    raw = "the mean and the dispersion, both before softplus"
    counts = True

    def loss(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        # In double precision: it has differences of large logarithms.
        mean, number = self._mean_and_number(o.double(), deviation.double())
        y = y.double()
        chosen = torch.lgamma(y + number) - torch.lgamma(number) - torch.lgamma(y + 1)
        log_p = chosen - number * (mean / number).log1p() + y * (mean / (number + mean)).log()
        return -log_p.to(o.dtype)

    def inverse(self, o: Tensor, centre: Tensor, deviation: Tensor, shares: Tensor) -> Tensor:
        from scipy.stats import nbinom

        number, chance = self._number_and_chance(o, deviation)
        found = nbinom.ppf(shares.double().cpu().numpy(), number[..., None], chance[..., None])
        return torch.as_tensor(found, dtype=centre.dtype, device=centre.device)

    def crps(self, o: Tensor, y: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
        """As by Wei and Held (2014), in the form with a hypergeometric function."""
        from scipy.special import hyp2f1
        from scipy.stats import nbinom

        number, chance = self._number_and_chance(o, deviation)
        counts = y.double().cpu().numpy()
        spread = (1 - chance) / chance**2
        below = chance * (2 * nbinom.cdf(counts - 1, number + 1, chance) - 1)
        among = below + hyp2f1(number + 1, 0.5, 2, -4 * spread)
        first = counts * (2 * nbinom.cdf(counts, number, chance) - 1)
        return torch.as_tensor(first - number * spread * among, dtype=y.dtype, device=y.device)

    def _mean_and_number(self, o: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        """The mean, and the number of successes that is waited for: 1 / dispersion."""
        mean = softplus(o[..., 0]).clamp(min=1e-6) * deviation
        dispersion = softplus(o[..., 1]) / deviation.sqrt()
        return mean, 1 / dispersion.clamp(*DISPERSION)

    def _number_and_chance(self, o: Tensor, deviation: Tensor) -> tuple[Any, Any]:
        mean, number = self._mean_and_number(o.detach().double(), deviation.double())
        return np.asarray(number.cpu()), np.asarray((number / (number + mean)).cpu())


OUTLOOKS: dict[str, type[Outlook]] = {
    "point": Point,
    "quantiles": Quantiles,
    "normal": Normal,
    "negative_binomial": NegativeBinomial,
    "mixture": Mixture,
}


def _around_half(levels: Sequence[float]) -> tuple[int, int, float]:
    """The levels next to 1/2, and the share of the way from one to the other at which it lies."""
    below = sum(level <= 0.5 for level in levels) - 1
    above = sum(level < 0.5 for level in levels)
    if below < 0 or above == len(levels):
        raise ValueError(
            "option 'quantiles' has 0.5, or levels on both sides of it, as the forecast is the "
            f"median, got {list(levels)}"
        )
    apart = levels[above] - levels[below]
    return below, above, (0.5 - levels[below]) / apart if apart else 0.0


def normal_crps(y: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """The CRPS (...) of a normal distribution (Gneiting and Raftery 2007, section 4.2)."""
    return _mean_absolute(y - mean, sigma) - sigma / math.sqrt(math.pi)


def _mean_absolute(mean: Tensor, sigma: Tensor) -> Tensor:
    """The mean absolute value of a normal variable."""
    z = mean / sigma
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    return mean * (2 * torch.special.ndtr(z) - 1) + 2 * sigma * density


def _log_density(z: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    return -((z - mean) / sigma).square() / 2 - sigma.log() - math.log(2 * math.pi) / 2


def _positive(o: Tensor) -> Tensor:
    return softplus(o) + LEAST
