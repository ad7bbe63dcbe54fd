"""Boosted trees beside the other baselines of own data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.baselines.features import boosted_classifier

# The most rows that boosted trees are fitted to.
MOST = 50_000


def boosted(train: tuple[NDArray, NDArray], test: tuple[NDArray, NDArray]) -> dict[str, Any]:
    """Test accuracy of boosted trees; nothing where all training targets are one class."""
    x, y = train[0][:MOST], train[1][:MOST]
    if len(np.unique(y)) < 2:
        return {}
    said = boosted_classifier().fit(x, y).predict(test[0])
    return {"boosted trees": {"accuracy": float(np.mean(said == test[1]))}}
