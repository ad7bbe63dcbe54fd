"""Daily sales of stores, drawn at random
======================================

``python examples/series_csv.py STORES DAYS SEED AHEAD > sales.csv`` writes a table.
"""

import sys

import numpy as np


def draw(stores: int = 8, days: int = 400, seed: int = 0, ahead: int = 0):
    """The lines of the table: a row per store and day, some of them missing."""
    random = np.random.default_rng(seed)
    yield "store,day,sales,promotion,size"
    day = np.arange(days)
    dates = np.datetime64("2023-01-01") + day
    week = random.normal(0, 0.35, (stores, 7)) + np.array([0.5, -0.2, -0.2, -0.1, 0, 0.2, 0.6])
    for store in range(stores):
        level, trend = random.uniform(2, 4), random.normal(0, 0.3)
        year = random.uniform(0.1, 0.4) * np.sin(2 * np.pi * (day / 365.25 + random.uniform()))
        promotion = random.random(days) < 0.1
        mean = np.exp(level + trend * day / 365 + year + week[store, day % 7] + 0.5 * promotion)
        # A negative binomial's, whose variance is mean + mean^2 / 10.
        sales = random.poisson(mean * random.gamma(10, 1 / 10, days))
        size = "small" if level < 3 else "large"
        for at in np.flatnonzero((random.random(days) > 0.02) | (day >= days - ahead)):
            sold = "" if at >= days - ahead else sales[at]
            yield f"store {store},{dates[at]},{sold},{int(promotion[at])},{size}"


if __name__ == "__main__":
    lines = list(draw(*map(int, sys.argv[1:5])))
    print(*lines[: None if sys.argv[1:] else 5], sep="\n")
    if not sys.argv[1:]:
        from matplotlib import pyplot as plt

        plt.plot([int(line.split(",")[2]) for line in lines if line.startswith("store 0,")])
        plt.gca().set(title="A store", xlabel="day with sales", ylabel="pieces sold")
        plt.show()
