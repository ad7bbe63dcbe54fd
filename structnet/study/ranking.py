"""Mean figures of repeated runs, and whether they rank as published figures do.

A summary is plain data:

columns  column -> its metric, `best` (max or min), the figures of its rows and of its baselines,
         published figures of other nets (references), and the order of the rows compared with the
         published order
minutes  row -> minutes of training, summed over all its runs
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import sqrt
from statistics import mean, stdev
from typing import Any

# A run: column, row, and fold and seed.
Key = tuple[Any, ...]
Monitor = tuple[str, str]
Summary = dict[str, Any]
# Figures times this are best when they are largest.
SIGN = {"max": 1, "min": -1}


def summarise(
    metrics: Mapping[Key, Mapping[str, Any]],
    monitors: Mapping[str, Monitor],
    published: Mapping[str, Mapping[str, float]],
    references: Mapping[str, Mapping[str, float]],
) -> Summary:
    """The summary of all runs.

    Arguments:
        metrics: the figures of every run.
        monitors: column -> its metric, and max or min for best.
        published: column -> row -> published figure.
        references: column -> name -> published figure of another net.
    """
    columns, minutes = {}, {}
    for column, (metric, mode) in monitors.items():
        grouped: dict[str, list[Mapping[str, Any]]] = {}
        for (here, row, *_), figures in metrics.items():
            if here == column:
                grouped.setdefault(row, []).append(figures)
        others = published.get(column, {})
        rows = {row: _figures(some, metric, others.get(row)) for row, some in grouped.items()}
        order = _order(rows, SIGN[mode])
        columns[column] = {
            "metric": metric,
            "best": mode,
            "rows": rows,
            "baselines": _baselines(next(iter(grouped.values())), metric),
            "references": dict(references.get(column, {})),
            "order": order,
        }
    for (_, row, *_), figures in metrics.items():
        minutes[row] = minutes.get(row, 0) + figures["train"]["seconds"] / 60
    return {
        "columns": columns,
        "minutes": {row: round(some, 2) for row, some in minutes.items()},
    }


def table(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of a table: mean, standard deviation and rank for every column.

    Published figures and their ranks stand beside ours. Baselines and references come last,
    without ranks.
    """
    columns, minutes = summary["columns"], summary["minutes"]
    below = {name: None for one in columns.values() for name in _below(one)}
    head, rows = [""], {name: [name] for name in (*minutes, *below)}
    for column, about in columns.items():
        figures, sign = [about["rows"][row] for row in minutes], SIGN[about["best"]]
        head.append(column)
        means = dict(zip(minutes, _ranked(figures, "mean", sign), strict=True))
        means |= {name: _mean(one) for name, one in about["baselines"].items()}
        published = dict(zip(minutes, _ranked(figures, "published", sign), strict=True))
        published |= {name: f"{one:.3f}" for name, one in about["references"].items()}
        for name, row in rows.items():
            row.append(means.get(name, ""))
        if any(published.values()):
            head.append("published")
            for name, row in rows.items():
                row.append(published.get(name, ""))
    for name, row in rows.items():
        row.append(f"{minutes[name]:.1f}" if name in minutes else "")
    return [*head, "minutes"], list(rows.values())


def differences(summary: Summary) -> list[str]:
    """Lines that say where the order of rows differs from the published one."""
    lines = []
    for column, about in summary["columns"].items():
        order = about["order"]
        if order is None:
            continue
        lines.append(
            f"{column}: {order['agree']} of {order['pairs']} pairs are in the published order, "
            f"Kendall's tau {order['tau']:.2f}; in the opposite order (* by more than twice the "
            "standard error):"
        )
        below: dict[str, list[str]] = {}
        for one in order["differ"]:
            passed = f"{one['below']} by {one['by']:.3f}{'*' if one['clear'] else ''}"
            below.setdefault(one["above"], []).append(passed)
        lines += [f"- {row} above {', '.join(rows)}" for row, rows in below.items()] or ["- none"]
    return lines


def markdown(summary: Summary) -> str:
    return "\n".join((markdown_table(*table(summary)), "", *differences(summary))) + "\n"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figures(
    some: Sequence[Mapping[str, Any]], metric: str, published: float | None
) -> dict[str, Any]:
    return {
        **_spread([figures["test"][metric] for figures in some]),
        "published": published,
        "parameters": some[0]["train"]["parameters"],
        "seconds": [figures["train"]["seconds"] for figures in some],
    }


def _baselines(some: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """The baselines' figures, from the runs of one row: they are the same for every row."""
    found: dict[str, list[float]] = {}
    for figures in some:
        for name, measured in figures.get("baselines", {}).items():
            if metric in measured:
                found.setdefault(name, []).append(measured[metric])
    return {name: _spread(values) for name, values in found.items()}


def _spread(values: list[float]) -> dict[str, Any]:
    # The sample's standard deviation, which one value does not have.
    spread = stdev(values) if len(values) > 1 else None
    return {"values": values, "mean": mean(values), "spread": spread}


def _order(rows: Mapping[str, Mapping[str, Any]], sign: int) -> dict[str, Any] | None:
    """The pairs of rows with different published figures, and how many have the same order here."""
    agree, differ, pairs = 0, [], 0
    known = [row for row in rows if rows[row]["published"] is not None]
    for above, below in combinations(sorted(known, key=lambda row: -sign * rows[row]["mean"]), 2):
        theirs = sign * (rows[above]["published"] - rows[below]["published"])
        # Means that print alike are a tie.
        by = round(sign * (rows[above]["mean"] - rows[below]["mean"]), 3)
        if theirs == 0:
            continue
        pairs += 1
        agree += theirs > 0 and by > 0
        if theirs < 0 and by > 0:
            clear = by > 2 * _standard_error(rows[above], rows[below])
            differ.append({"above": above, "below": below, "by": by, "clear": clear})
    if not pairs:
        return None
    tau = (agree - len(differ)) / pairs
    return {"pairs": pairs, "agree": agree, "tau": tau, "differ": differ}


def _standard_error(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """The standard error of the difference of two means; infinite for single values."""
    if one["spread"] is None or other["spread"] is None:
        return float("inf")
    return sqrt((one["spread"] ** 2 + other["spread"] ** 2) / len(one["values"]))


def _ranked(figures: Sequence[Mapping[str, Any]], which: str, sign: int) -> list[str]:
    """Figures as text, each with its rank in parentheses; 1 is the best."""
    given = [one[which] for one in figures if one[which] is not None]
    given.sort(key=lambda value: -sign * value)
    return [
        ""
        if one[which] is None
        else (_mean(one) if which == "mean" else f"{one[which]:.3f}")
        + f" ({1 + given.index(one[which])})"
        for one in figures
    ]


def _mean(one: Mapping[str, Any]) -> str:
    spread = "" if one["spread"] is None else f" ± {one['spread']:.3f}"
    return f"{one['mean']:.3f}{spread}"


def _below(about: Mapping[str, Any]) -> list[str]:
    """Baselines and references: table rows without a run of ours."""
    return [*about["baselines"], *about["references"]]
