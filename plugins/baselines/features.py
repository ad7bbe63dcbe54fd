"""Regressions and classifiers of feature vectors.

A split is its features (n, F) and its targets (n,).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Table = tuple[NDArray, NDArray]

# Penalties of ridge regression, chosen by the leave-one-out error on the training split.
PENALTIES = np.logspace(-3, 3, 13)


def fit_numbers(train: Table, test: Table) -> dict[str, dict[str, float]]:
    """Test figures of the mean training target, ridge regression and boosted trees."""
    return errors_of_numbers(predict_numbers(train, test[0]), train, test)


def errors_of_numbers(
    said: dict[str, NDArray], train: Table, test: Table
) -> dict[str, dict[str, float]]:
    """The errors of predictions of test targets (n,), by the name of what made them."""
    y, deviation = test[1], train[1].std() or 1.0
    return {name: _errors(predicted, y, deviation) for name, predicted in said.items()}


def predict_numbers(train: Table, x: NDArray) -> dict[str, NDArray]:
    """The numbers (n,) that the same three give for features x (n, F)."""
    models: dict[str, Any] = {
        "mean": DummyRegressor(),
        "ridge": make_pipeline(StandardScaler(), RidgeCV(PENALTIES)),
        "boosted trees": HistGradientBoostingRegressor(max_iter=500, learning_rate=0.05),
    }
    return {name: np.asarray(model.fit(*train).predict(x)) for name, model in models.items()}


def fit_classes(train: Table, test: Table, name: str) -> dict[str, dict[str, float]]:
    """Test accuracy of the most frequent class, and of logistic regression, under `name`."""
    found = predict_classes(train, test[0], name)
    return {name: {"accuracy": float(np.mean(said == test[1]))} for name, said in found.items()}


def predict_classes(train: tuple[Any, NDArray], x: Any, name: str) -> dict[str, NDArray]:
    """The classes (n,) that the most frequent one and logistic regression give for features x.

    Features may be sparse; they are scaled to their standard deviations. The regression, under
    `name`, is left out where all training targets are the same.
    """
    models: dict[str, Any] = {"majority": DummyClassifier()}
    if len(np.unique(train[1])) > 1:
        scaled = StandardScaler(with_mean=not issparse(x))
        models[name] = make_pipeline(scaled, LogisticRegression(max_iter=2000))
    return {name: np.asarray(model.fit(*train).predict(x)) for name, model in models.items()}


def boosted_classifier() -> HistGradientBoostingClassifier:
    """Scikit-learn's histogram gradient boosting, small enough for many thousand rows."""
    options: dict[str, Any] = {"max_iter": 40, "early_stopping": False, "random_state": 0}
    return HistGradientBoostingClassifier(**options)


def _errors(predicted: NDArray, y: NDArray, deviation: float) -> dict[str, float]:
    rmse = float(np.sqrt(np.mean((predicted - y) ** 2)))
    mae = float(np.mean(np.abs(predicted - y)))
    figures = {"rmse": rmse, "relative_rmse": rmse / float(deviation), "mae": mae}
    # A constant has no correlation.
    if predicted.std() > 0 and y.std() > 0:
        figures["pearson"] = float(np.corrcoef(predicted, y)[0, 1])
    return figures
