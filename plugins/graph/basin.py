"""Random river basins, the rain on them, and the discharge computed by a known routing.

n: reaches; T: hours. Lengths in km, areas in square km, flows in mm/h over the drained area.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The mean time between storms in hours, and their mean rain in mm/h; they last 3 to 15 hours.
BETWEEN_STORMS, RAIN = 40.0, 2.0
# The share of rain that runs off, its mean delay on the slopes in hours, the base flow in mm/h.
RUNOFF, SLOPES, BASE = 0.4, 3.0, 0.02
# Speed of a flood wave in km/h on a slope of 1 m/km.
SPEED = 2.5
WARM_UP = 200


@dataclass(frozen=True, eq=False)
class Basin:
    """The reaches of a river, each with the slopes that drain into it; reach 0 ends at the outlet.

    `below` (n,) is the reach that each one flows into, which has a smaller number, and -1 at the
    outlet; at most two reaches meet. `length`, `slope` (m/km) and `area` (n,) are the reach's own.
    """

    below: Ints
    length: Floats
    slope: Floats
    area: Floats

    @property
    def storage(self) -> Floats:
        """The storage constant K (n,) of every reach in hours: length over the flood wave's speed.

        The speed grows with the square root of the slope, as in Manning's formula.
        """
        return self.length / (SPEED * np.sqrt(self.slope))

    @property
    def drained(self) -> Floats:
        """The area (n,) that drains through the end of every reach."""
        return self._accumulate(self.area[:, None].copy())[:, 0]

    def upstream(self, inflow: Floats) -> Floats:
        """The mean inflow (n, T) over the area that drains through the end of every reach."""
        return self._accumulate(inflow * self.area[:, None]) / self.drained[:, None]

    def route(self, inflow: Floats) -> Floats:
        """The discharge (n, T) at the end of every reach, given the lateral inflow (n, T).

        A reach is a linear reservoir, dS/dt = I - Q with S = K Q (Nash 1957, eq. 1), solved for an
        inflow I that is constant over each hour: Q_t = a Q_(t-1) + (1 - a) I_t, a = exp(-1 h / K).
        I is its lateral inflow plus the discharge of the reaches that flow into it.
        """
        from scipy.signal import lfilter

        flow = inflow * self.area[:, None]
        kept = np.exp(-1 / self.storage)
        for reach in range(len(flow) - 1, -1, -1):
            a = kept[reach]
            # Before the first hour the flow is assumed constant.
            start = [a * flow[reach, 0]]
            flow[reach], _ = lfilter([1 - a], [1, -a], flow[reach], zi=start)
            if reach:
                flow[self.below[reach]] += flow[reach]
        return flow / self.drained[:, None]

    def _accumulate(self, amount: Floats) -> Floats:
        for reach in range(len(amount) - 1, 0, -1):
            amount[self.below[reach]] += amount[reach]
        return amount


def draw_basin(sources: int, random: np.random.Generator) -> Basin:
    """A basin with n sources and 2 n - 1 reaches, uniform over topologically distinct networks.

    The random model of Shreve (1966), drawn by the algorithm of Rémy (1985).
    """
    below = [-1]
    for _ in range(sources - 1):
        # A fork in the middle of an existing reach, and a new source that flows into it.
        reach, fork = int(random.integers(len(below))), len(below)
        below += [below[reach], fork]
        below[reach] = fork
    below = _downstream_first(np.array(below))
    count = len(below)
    length = random.lognormal(np.log(5), 0.6, count)
    slope = random.lognormal(np.log(1), 0.8, count)
    return Basin(below, length, slope, length * random.lognormal(np.log(2), 0.5, count))


def _downstream_first(below: Ints) -> Ints:
    """The same tree with its reaches numbered from the outlet up."""
    depth = np.zeros(len(below), np.int64)
    at = below
    while (at >= 0).any():
        depth += at >= 0
        at = np.where(at >= 0, below[at], -1)
    order = np.argsort(depth, kind="stable")
    place = np.append(np.argsort(order), -1)
    return place[below[order]]


def draw_inflow(basin: Basin, hours: int, random: np.random.Generator) -> Floats:
    """The lateral inflow (n, T) of storms whose strength differs from reach to reach."""
    from scipy.signal import lfilter

    reaches = len(basin.below)
    rain = np.zeros((reaches, WARM_UP + hours))
    for start, end in _storms(WARM_UP + hours, random):
        strength = random.exponential(RAIN) * random.gamma(1.0, 1.0, reaches)
        rain[:, start:end] += (
            strength[:, None] * random.dirichlet(np.ones(end - start)) * (end - start)
        )
    a = np.exp(-1 / SLOPES)
    held = np.asarray(lfilter([1 - a], [1, -a], rain))
    return BASE + RUNOFF * held[:, WARM_UP:]


def _storms(hours: int, random: np.random.Generator) -> Iterator[tuple[int, int]]:
    start = random.exponential(BETWEEN_STORMS)
    while start < hours:
        yield int(start), min(hours, int(start) + int(random.integers(3, 16)))
        start += random.exponential(BETWEEN_STORMS)
