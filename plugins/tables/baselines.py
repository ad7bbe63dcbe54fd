"""Baselines of own data, with the metrics that were asked for, and those of a quantile."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor

from structnet.plugins.baselines.features import (
    Table,
    boosted_classifier,
    errors_of_numbers,
    predict_classes,
    predict_numbers,
)
from structnet.plugins.tables.scoring import OF_SCORES, more_metrics, pinball

# The most rows that boosted trees are fitted to.
MOST = 50_000
Figures = dict[str, dict[str, float]]


def fit_classes(train: Table, test: Table, more: Sequence[str], classes: int) -> Figures:
    """Test accuracy, and further metrics, of the most frequent class, regression and trees."""
    said = predict_classes(train, test[0], "logistic regression")
    x, y = train[0][:MOST], train[1][:MOST]
    if len(np.unique(y)) > 1:
        said["boosted trees"] = boosted_classifier().fit(x, y).predict(test[0])
    # One that ranks by scores has nothing to rank here; classes that training lacks have no place.
    fitting = [one for one in more if one not in OF_SCORES] if test[1].max() < classes else []
    return {
        name: {"accuracy": float(np.mean(one == test[1]))}
        | _figures(fitting, classes, one, test[1])
        for name, one in said.items()
    }


def fit_numbers(train: Table, test: Table, more: Sequence[str]) -> Figures:
    """Test errors, and further metrics, of the mean, ridge regression and boosted trees."""
    said = predict_numbers(train, test[0])
    found = errors_of_numbers(said, train, test)
    for name, one in said.items():
        # A deviance of counts is of predictions above zero.
        fitting = [each for each in more if each != "poisson" or one.min() > 0]
        found[name] |= _figures(fitting, 0, one, test[1])
    return found


def _figures(more: Sequence[str], classes: int, said: NDArray, y: NDArray) -> dict[str, float]:
    """What metrics say of predictions (n,), where that is a number.

    Arguments:
        classes: how many there are, 0 for numbers.
    """
    pair = torch.as_tensor(said), torch.as_tensor(y)
    if not classes:
        pair = pair[0].double(), pair[1].double()
    with warnings.catch_warnings():
        # Of memory for all predictions, and of constants.
        warnings.simplefilter("ignore", UserWarning)
        metrics = more_metrics(more, "class" if classes else "number", classes)
        found = {name: float(metric(*pair)) for name, metric in metrics.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def fit_quantile(train: Table, test: Table, quantile: float) -> Figures:
    """Test losses, in standard deviations, of the quantile of training targets and of trees."""
    models: dict[str, Any] = {
        "training quantile": DummyRegressor(strategy="quantile", quantile=quantile),
        "boosted trees": HistGradientBoostingRegressor(
            loss="quantile", quantile=quantile, max_iter=100, random_state=0
        ),
    }
    x, y = train[0][:MOST], train[1][:MOST]
    deviation, found = float(train[1].std()) or 1.0, dict[str, dict[str, float]]()
    for name, model in models.items():
        said = torch.as_tensor(model.fit(x, y).predict(test[0])).double()
        losses = pinball(said[:, None], torch.as_tensor(test[1]).double(), [quantile])
        found[name] = {"pinball": float(losses.mean()) / deviation}
    return found
