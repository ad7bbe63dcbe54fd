"""Figures of baselines of own data, for the metrics that were asked for."""

import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, r2_score
from test_own_sequences import loaded, write_csv

import structnet as sn
from structnet.plugins.baselines.features import predict_classes, predict_numbers

MODELS = {"majority", "logistic regression", "boosted trees"}


def test_baselines_of_classes_have_the_metrics_that_are_asked_for(tmp_path):
    rows = [[f"s{n}", k, (n % 5) + k + n / 100, "yes" if n % 5 > 2 else "no"]
            for n in range(60) for k in range(3)]  # fmt: skip
    path = write_csv(tmp_path / "a.csv", rows, ["id", "t", "v", "label"])
    metrics = ("macro_f1", "balanced_accuracy", "auroc")
    one, _ = loaded(sn.tasks.create("sequences", root=str(path), metrics=metrics))
    found = one.baselines()
    assert set(found) == MODELS
    assert all(set(each) == {"accuracy", *metrics[:2]} for each in found.values())
    train, test = (one.features(one.loaded[name]) for name in ("train", "test"))
    said = predict_classes(train, test[0], "logistic regression")
    for name, predicted in said.items():
        expected = f1_score(test[1], predicted, average="macro", zero_division=0)
        assert found[name]["macro_f1"] == pytest.approx(expected)
        expected = balanced_accuracy_score(test[1], predicted)
        assert found[name]["balanced_accuracy"] == pytest.approx(expected)
    plain, _ = loaded(sn.tasks.create("sequences", root=str(path)))
    assert all(set(each) == {"accuracy"} for each in plain.baselines().values())


def test_baselines_of_numbers_have_the_metrics_that_are_asked_for(tmp_path):
    rows = [[f"s{n}", k, n / 7, n / 7 + 1000.5 + k] for n in range(40) for k in range(3)]
    path = write_csv(tmp_path / "a.csv", rows, ["id", "t", "v", "y"])
    metrics = ("r2", "spearman", "mape", "poisson")
    one, _ = loaded(sn.tasks.create("sequences", root=str(path), metrics=metrics))
    found = one.baselines()
    assert {"rmse", "mae", *metrics} <= set(found["ridge"])
    assert {"r2", "mape"} <= set(found["mean"])
    train, test = (one.features(one.loaded[name]) for name in ("train", "test"))
    for name, predicted in predict_numbers(train, test[0]).items():
        assert found[name]["r2"] == pytest.approx(r2_score(test[1], predicted))
