"""Likelihoods of pixels: negative log-likelihood and sampling from a net's outputs.

N: pixels, C: channels of a pixel, L: levels of a channel, K: logistics in a mixture.
"""

import abc

import torch
from torch import Tensor, nn

# More components than a channel could use, which has at most 256 levels.
MOST_MIXTURES = 1000


class Likelihood(abc.ABC):
    """The distribution of a pixel's channels, one after another, given a net's outputs for it.

    Values are whole numbers from 0 to `levels` - 1. `sees` has for every output the number of
    channels of its own pixel that it may depend on.
    """

    num_outputs: int
    sees: tuple[int, ...]

    def __init__(self, channels: int, levels: int):
        self.channels, self.levels = channels, levels

    @abc.abstractmethod
    def log_probabilities(self, output: Tensor, values: Tensor, channel: int) -> Tensor:
        """Of the levels (N, L) of a channel, given the earlier channels of `values` (N, C)."""

    def nats(self, output: Tensor, y: Tensor) -> Tensor:
        """The negative log-likelihood (N,) of y (N, C), summed over its channels."""
        each = [
            self.log_probabilities(output, y, channel).gather(1, y[:, channel : channel + 1])
            for channel in range(self.channels)
        ]
        return -torch.cat(each, dim=1).sum(1)

    def draw(
        self,
        output: Tensor,
        values: Tensor,
        channel: int,
        temperature: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Draw a channel (N,), given the earlier channels of `values` (N, C).

        Log-probabilities are divided by the temperature; ValueError if that is not above 0.
        """
        if not temperature > 0:
            raise ValueError(f"temperature is above 0, got {temperature}")
        logits = self.log_probabilities(output, values, channel) / temperature
        return torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


class Bernoulli(Likelihood):
    """Binary channels: output c is the logit of channel c."""

    def __init__(self, channels: int):
        super().__init__(channels, levels=2)
        self.num_outputs, self.sees = channels, tuple(range(channels))

    def log_probabilities(self, output: Tensor, values: Tensor, channel: int) -> Tensor:
        logit = output[:, channel]
        return nn.functional.logsigmoid(torch.stack([-logit, logit], dim=1))


class Softmax(Likelihood):
    """One probability per level of a channel; outputs in the order (C, L).

    Van den Oord et al. (2016), section 2.2.
    """

    def __init__(self, channels: int, levels: int):
        super().__init__(channels, levels)
        self.num_outputs = channels * levels
        self.sees = tuple(channel for channel in range(channels) for _ in range(levels))

    def log_probabilities(self, output: Tensor, values: Tensor, channel: int) -> Tensor:
        start = channel * self.levels
        return output[:, start : start + self.levels].log_softmax(1)


class Logistics(Likelihood):
    """A discretised mixture of `mixtures` logistics; the first and last level extend to infinity.

    Salimans et al. (2017), eq. 1-3: a channel's mean is linear in the earlier channels, which enter
    here and not in the net, so that no output sees a channel of its own pixel. Outputs in the order
    (K, 1 + 2 C + C (C - 1) / 2): a component's logit, its means, the logarithms of its scales, and
    the coefficients of earlier channels before tanh, channel by channel.
    """

    # Below this range a logistic lies in one level, above it is flat.
    LOG_SCALES = (-7.0, 7.0)

    def __init__(self, channels: int, levels: int, mixtures: int):
        if mixtures < 1:
            raise ValueError(f"option 'mixtures' is at least 1, got {mixtures}")
        if mixtures > MOST_MIXTURES:
            raise ValueError(f"option 'mixtures' is at most {MOST_MIXTURES}, got {mixtures}")
        super().__init__(channels, levels)
        self.mixtures = mixtures
        self.parts = (1, channels, channels, channels * (channels - 1) // 2)
        self.num_outputs = mixtures * sum(self.parts)
        self.sees = (0,) * self.num_outputs

    def nats(self, output: Tensor, y: Tensor) -> Tensor:
        each = self._mixtures(output, y, self.channels)
        return -each.logsumexp(1)

    def log_probabilities(self, output: Tensor, values: Tensor, channel: int) -> Tensor:
        # The posterior of the components given the earlier channels.
        weight = self._mixtures(output, values, channel).log_softmax(1)
        mean, log_scale = self._logistic(output, values, channel)
        level = torch.arange(self.levels, device=output.device)
        each = self._log_masses(mean[..., None], log_scale[..., None], level)
        return (weight[..., None] + each).logsumexp(1)

    def _mixtures(self, output: Tensor, values: Tensor, channels: int) -> Tensor:
        """Log of the components' weights times their probabilities (N, K) of the first channels."""
        total = self._split(output)[0][..., 0].log_softmax(1)
        for channel in range(channels):
            mean, log_scale = self._logistic(output, values, channel)
            total = total + self._log_masses(mean, log_scale, values[:, channel, None])
        return total

    def _split(self, output: Tensor) -> tuple[Tensor, ...]:
        return output.unflatten(1, (self.mixtures, -1)).split(self.parts, dim=2)

    def _logistic(self, output: Tensor, values: Tensor, channel: int) -> tuple[Tensor, Tensor]:
        """Mean and log-scale (N, K) of a channel, given the earlier channels."""
        _, means, log_scales, coefficients = self._split(output)
        mean = means[..., channel]
        start = channel * (channel - 1) // 2
        if channel:
            before = scaled(values[:, None, :channel].to(mean.dtype), self.levels)
            coefficient = coefficients[..., start : start + channel].tanh()
            mean = mean + (coefficient * before).sum(2)
        return mean, log_scales[..., channel].clamp(*self.LOG_SCALES)

    def _log_masses(self, mean: Tensor, log_scale: Tensor, values: Tensor) -> Tensor:
        """Log-probabilities of the levels `values` under a logistic.

        With a level's ends a and b, s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)), where s is the
        logistic function, which avoids the difference of nearly equal numbers.
        """
        logsigmoid = nn.functional.logsigmoid
        half, inverse = 1 / (self.levels - 1), (-log_scale).exp()
        centre = scaled(values.to(mean.dtype), self.levels) - mean
        above, below = (centre + half) * inverse, (centre - half) * inverse
        width = torch.log(-torch.expm1(-2 * half * inverse))
        first, last = values == 0, values == self.levels - 1
        upper = logsigmoid(above).masked_fill(last, 0)
        lower = logsigmoid(-below).masked_fill(first, 0)
        return upper + lower + width.masked_fill(first | last, 0)


def scaled(values: Tensor, levels: int) -> Tensor:
    """Levels from 0 to `levels` - 1, scaled to -1 to 1."""
    return values * (2 / (levels - 1)) - 1


def create_likelihood(name: str | None, channels: int, levels: int, mixtures: int) -> Likelihood:
    """By name: bernoulli, softmax or logistics; None is bernoulli for two levels, else softmax.

    ValueError for bernoulli on more than two levels.
    """
    if name is None:
        name = "bernoulli" if levels == 2 else "softmax"
    if name == "bernoulli":
        if levels != 2:
            raise ValueError(
                f"likelihood 'bernoulli' is for images of 2 levels, these have {levels}: take "
                "task.likelihood=softmax or logistics, or binary images (task.binarise)"
            )
        return Bernoulli(channels)
    if name == "softmax":
        return Softmax(channels, levels)
    return Logistics(channels, levels, mixtures)
