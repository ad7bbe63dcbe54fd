"""The table of a comparison, and how its order differs from a published one."""

import math

import pytest
from scipy.stats import kendalltau

from structnet.study.ranking import differences, markdown, summarise, table


def made(values, published=None, seconds=30.0, best="max"):
    """The summary of one column `task`, rows with their values over the seeds."""
    metrics = {
        ("task", row, seed): {
            "test": {"accuracy": value, "loss": 9.0},
            "train": {"seconds": seconds, "parameters": 7},
        }
        for row, some in values.items()
        for seed, value in enumerate(some)
    }
    monitors = {"task": ("accuracy", best)}
    return summarise(metrics, monitors, {"task": published} if published else {}, {})


def test_a_row_has_mean_spread_and_minutes():
    summary = made({"a": [0.1, 0.2, 0.6], "b": [0.5]})
    a, b = summary["columns"]["task"]["rows"].values()
    assert a["mean"] == pytest.approx(0.3)
    assert a["spread"] == pytest.approx(math.sqrt((0.04 + 0.01 + 0.09) / 2))
    assert (b["mean"], b["spread"]) == (0.5, None)
    assert summary["minutes"] == {"a": 1.5, "b": 0.5}
    assert table(summary) == (
        ["", "task", "minutes"],
        [["a", "0.300 ± 0.265 (2)", "1.5"], ["b", "0.500 (1)", "0.5"]],
    )
    assert differences(summary) == []


def test_baselines_and_what_others_published_stand_below_without_ranks():
    metrics = {
        ("task", row, fold, 0): {
            "test": {"accuracy": 0.5 + 0.1 * fold},
            "train": {"seconds": 60.0, "parameters": 7},
            "baselines": {"bag": {"accuracy": 0.2 * fold}, "other": {"rmse": 1.0}},
        }
        for row in "ab"
        for fold in (1, 2)
    }
    summary = summarise(metrics, {"task": ("accuracy", "max")}, {}, {"task": {"GIN": 0.89}})
    assert summary["columns"]["task"]["baselines"]["bag"]["values"] == [0.2, 0.4]
    assert table(summary) == (
        ["", "task", "published", "minutes"],
        [
            ["a", "0.650 ± 0.071 (1)", "", "2.0"],
            ["b", "0.650 ± 0.071 (1)", "", "2.0"],
            ["bag", "0.300 ± 0.141", "", ""],
            ["GIN", "", "0.890", ""],
        ],
    )


def test_kendalls_tau_is_that_of_scipy():
    published = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5}
    here = {"a": 0.3, "b": 0.1, "c": 0.2, "d": 0.9, "e": 0.5}
    order = made({row: [value] for row, value in here.items()}, published)
    order = order["columns"]["task"]["order"]
    expected = kendalltau(list(here.values()), list(published.values())).statistic
    assert order["tau"] == pytest.approx(expected)
    assert (order["agree"], order["pairs"]) == (7, 10)
    assert {(one["above"], one["below"]) for one in order["differ"]} == {
        ("a", "b"), ("a", "c"), ("d", "e"),
    }  # fmt: skip


def test_a_difference_is_clear_beyond_twice_its_standard_error():
    published = {"a": 2.0, "b": 1.0}
    # Spreads of 0.1 over two seeds: a standard error of 0.1, in the difference of means.
    half = 0.1 / math.sqrt(2)
    for by, clear in ((0.19, False), (0.21, True)):
        values = {"a": [0.5 - half, 0.5 + half], "b": [0.5 + by - half, 0.5 + by + half]}
        (one,) = made(values, published)["columns"]["task"]["order"]["differ"]
        assert one["by"] == pytest.approx(by) and one["clear"] is clear
    (one,) = made({"a": [0.1], "b": [0.9]}, published)["columns"]["task"]["order"]["differ"]
    assert one["clear"] is False


def test_the_order_is_told_in_words():
    published = {"a": 0.3, "b": 0.2, "c": 0.1, "d": 0.1}
    told = differences(made({"a": [0.1], "b": [0.3], "c": [0.2], "d": [0.05]}, published))
    assert told == [
        "task: 3 of 5 pairs are in the published order, Kendall's tau 0.20; "
        "in the opposite order (* by more than twice the standard error):",
        "- b above a by 0.200",
        "- c above a by 0.100",
    ]
    same = differences(made({"a": [0.9], "b": [0.5]}, {"a": 0.2, "b": 0.1}))
    assert same[1:] == ["- none"]


def test_equal_figures_have_no_order():
    summary = made({"a": [0.5], "b": [0.5], "c": [0.1]}, {"a": 0.3, "b": 0.2, "c": 0.2})
    order = summary["columns"]["task"]["order"]
    assert (order["pairs"], order["agree"], order["differ"]) == (2, 1, [])
    assert [row[1] for row in table(summary)[1]] == ["0.500 (1)", "0.500 (1)", "0.100 (3)"]


def test_a_row_without_a_published_figure_has_no_part_in_the_order():
    summary = made({"a": [0.5], "b": [0.4], "new": [0.9]}, {"a": 0.2, "b": 0.1})
    assert summary["columns"]["task"]["order"]["pairs"] == 1
    assert [row[2] for row in table(summary)[1]] == ["0.200 (1)", "0.100 (2)", ""]


def test_the_table_in_markdown_has_a_line_a_row():
    text = markdown(made({"a": [0.5, 0.5], "b": [0.4, 0.6]}, {"a": 0.2, "b": 0.1}))
    head, rule, a, b, blank, *said = text.splitlines()
    assert head == "|  | task | published | minutes |"
    assert rule == "| --- | ---: | ---: | ---: |"
    assert a == "| a | 0.500 ± 0.000 (1) | 0.200 (1) | 1.0 |"
    assert b.startswith("| b |") and blank == "" and said[0].startswith("task: ")


def test_where_small_figures_are_best_all_is_mirrored():
    published = {"a": 0.3, "b": 0.2, "c": 0.1, "d": 0.1}
    values = {"a": [0.1], "b": [0.3], "c": [0.2], "d": [0.05]}
    large = made(values, published)
    small = made({row: [-value for value in some] for row, some in values.items()},
                 {row: -value for row, value in published.items()}, best="min")  # fmt: skip
    assert differences(small) == differences(large)
    assert [row[1] for row in table(small)[1]] == ["-" + row[1] for row in table(large)[1]]
