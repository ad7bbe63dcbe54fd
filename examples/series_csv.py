"""python examples/series_csv.py STORES DAYS SEED AHEAD > sales.csv: daily sales, drawn at random.

Sales of every store have a trend, a week, a year, and days of promotion, and are counts that vary
more than a Poisson's. Those of the last AHEAD days are empty, as they are not known yet.
"""

import sys

import numpy as np

STORES, DAYS, SEED, AHEAD = 8, 400, 0, 0


def draw(stores: int = STORES, days: int = DAYS, seed: int = SEED, ahead: int = AHEAD):
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
    for line in draw(*(int(word) for word in sys.argv[1:5])):
        print(line)
