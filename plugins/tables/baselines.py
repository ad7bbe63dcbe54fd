"""Boosted trees beside the other baselines of own data, and baselines of a quantile."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor

from structnet.plugins.baselines.features import boosted_classifier
from structnet.plugins.tables.scoring import pinball

# The most rows that boosted trees are fitted to.
MOST = 50_000


def boosted(train: tuple[NDArray, NDArray], test: tuple[NDArray, NDArray]) -> dict[str, Any]:
    """Test accuracy of boosted trees; nothing where all training targets are one class."""
    x, y = train[0][:MOST], train[1][:MOST]
    if len(np.unique(y)) < 2:
        return {}
    said = boosted_classifier().fit(x, y).predict(test[0])
    return {"boosted trees": {"accuracy": float(np.mean(said == test[1]))}}


def fit_quantile(
    train: tuple[NDArray, NDArray], test: tuple[NDArray, NDArray], quantile: float
) -> dict[str, Any]:
    """Test losses, in standard deviations, of the quantile of training targets and of trees."""
    models: dict[str, Any] = {
        "training quantile": DummyRegressor(strategy="quantile", quantile=quantile),
        "boosted trees": HistGradientBoostingRegressor(
            loss="quantile", quantile=quantile, max_iter=100, random_state=0
        ),
    }
    x, y = train[0][:MOST], train[1][:MOST]
    deviation, found = float(train[1].std()) or 1.0, {}
    for name, model in models.items():
        said = torch.as_tensor(model.fit(x, y).predict(test[0])).double()
        losses = pinball(said[:, None], torch.as_tensor(test[1]).double(), [quantile])
        found[name] = {"pinball": float(losses.mean()) / deviation}
    return found
