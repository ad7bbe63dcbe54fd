"""What a diagnosis says: a verdict in words, a table, a picture, and the file they come from."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from structnet.diagnosis.gradients import Diagnosis
from structnet.diagnosis.saturation import HIGH, LOW
from structnet.run.plain import is_finite, read_json, shown
from structnet.run.run import Run
from structnet.system.files import write
from structnet.system.terminal import console, counted

# The gradients of all levels add up in one weight: a thousandth is lost in that sum, and a thousand
# times as much is all that is left of it. Taken over the whole way, since a gentle rate on a long
# way hides the far end as well as a steep one on a short way.
VANISHING, EXPLODING = 1e-3, 1e3
# A gate with more of its values than this at one end does not choose any more.
STUCK = 0.9
HINTS = {
    "vanishing, gated": "try gates that start open: the cell's chrono or forget_bias option",
    "vanishing": "try a gated cell (cell=lstm, cell=gru) or an orthogonal or identity start",
    "exploding": "try trainer.clip_norm, a smaller trainer.learning_rate or a gated cell",
}
# Measure -> its mark in the picture and what it is.
MARKS = {
    "spectral radius": ("o", "largest |eigenvalue|"),
    "entry": ("D", "largest |entry|, where diagonal"),
    "norm": ("s", "largest singular value, where not square"),
}


class Verdict(NamedTuple):
    """`word` is vanishing, exploding, fine or, where there is nothing to measure, unknown.

    `change` is the gradient at a distance of `levels`, as a share of that at the last nodes: the
    largest where it explodes, else the farthest.
    """

    word: str
    change: float
    levels: int


def judge(gradient: Sequence[float]) -> Verdict:
    """The verdict on a gradient by distance; what is not a number counts as infinite."""
    known = [value if math.isfinite(value) else math.inf for value in gradient]
    farthest = len(known) - 1
    if farthest < 1:
        return Verdict("unknown", 1.0, 0)
    peak = max(range(len(known)), key=known.__getitem__)
    if known[peak] > EXPLODING:
        return Verdict("exploding", known[peak], peak)
    word = "vanishing" if known[farthest] < VANISHING else "fine"
    return Verdict(word, known[farthest], farthest)


def sentences(layer: Diagnosis) -> Iterator[str]:
    """The verdict on a layer, what to try, and the gates that are stuck."""
    word, change, levels = judge(layer.gradient)
    verbs = {"vanishing": "falls to", "exploding": "grows to", "fine": "keeps"}
    if word == "unknown":
        yield f"{layer.name}: no node has a predecessor, so there is no gradient to follow"
    else:
        over = counted(levels, "level")
        yield f"{layer.name}: gradient {verbs[word]} {_short(change)} over {over}: {word}"
    gated = any(one.activation == "sigmoid" for one in layer.saturation.values())
    hint = HINTS.get(f"{word}, gated" if gated else word) or HINTS.get(word)
    if hint:
        yield f"  {hint}"
    for gate, (activation, low, high, _) in layer.saturation.items():
        if max(low, high) > STUCK:
            side = f"below {LOW[activation]}" if low > high else f"above {HIGH}"
            yield f"  {gate} is stuck: {max(low, high):.0%} of its values are {side}"


def print_diagnosis(layers: Sequence[Diagnosis]) -> None:
    """A row a gate, then the verdicts."""
    table = Table(title="saturated gates and recurrent matrices")
    for column in ("", "gate", f"share below {LOW['sigmoid']}", f"share above {HIGH}",
                   "spectral radius"):  # fmt: skip
        table.add_column(column, justify="left" if column in ("", "gate") else "right")
    for layer in layers:
        for gate in _gates(layer):
            row = _row(layer, gate)
            table.add_row(layer.name, gate, *row)
        table.add_section()
    out = console()
    if table.row_count:
        out.print(table)
    for layer in layers:
        for sentence in sentences(layer):
            out.print(sentence, highlight=False, markup=False, soft_wrap=True)


def _gates(layer: Diagnosis) -> list[str]:
    """The gates of a layer that something is known of."""
    return list(dict.fromkeys([*layer.saturation, *(radius.gate for radius in layer.radii)]))


def _row(layer: Diagnosis, gate: str) -> list[str]:
    columns = ["", ""]
    if gate in layer.saturation:
        activation, low, high, _ = layer.saturation[gate]
        other = "" if LOW[activation] == LOW["sigmoid"] else f" (below {LOW[activation]})"
        columns = [f"{low:.2f}{other}", f"{high:.2f}"]
    radii = [radius for radius in layer.radii if radius.gate == gate]
    if not radii:
        return [*columns, ""]
    largest = max(radii, key=lambda radius: radius.value)
    several = f", largest of {len(radii)}" if len(radii) > 1 else ""
    norm = " (norm)" if largest.measure == "norm" else ""
    return [*columns, f"{largest.value:.3f}{norm}{several}"]


def as_data(layers: Sequence[Diagnosis]) -> list[dict[str, Any]]:
    """Plain data, null for what is not a number or infinite."""
    return [
        {
            "name": layer.name,
            "verdict": judge(layer.gradient).word,
            "levels": len(layer.gradient) - 1,
            "gradient": [_finite(value) for value in layer.gradient],
            "saturation": {
                gate: {**one._asdict(), "largest": _finite(one.largest)}
                for gate, one in layer.saturation.items()
            },
            "radii": [{**one._asdict(), "value": _finite(one.value)} for one in layer.radii],
        }
        for layer in layers
    ]


def save_diagnosis(
    run: Run, layers: Sequence[Diagnosis], epoch: int | None = None
) -> dict[str, Any]:
    """Write diagnose.json, which keeps the gradients of training's epochs, and give what it holds.

    `epoch` is the number of epochs trained, where they are going on.
    """
    file = run.directory / "diagnose.json"
    history = _history(file)
    data = as_data(layers)
    if epoch is not None:
        gradients = {layer["name"]: layer["gradient"] for layer in data}
        # A run that goes on from an earlier epoch passes some of them again.
        history = [one for one in history if one["epoch"] < epoch]
        history.append({"epoch": epoch, "gradient": gradients})
    saved = {"layers": data, "history": history}
    run.save_json(file.name, saved)
    return saved


def _history(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    saved = read_json(file)
    history = saved.get("history") if isinstance(saved, dict) else None
    if not isinstance(history, list) or not all(map(_is_epoch, history)):
        raise ValueError(f"{file} is not a saved diagnosis, remove it: history is {shown(history)}")
    return history


def _is_epoch(one: Any) -> bool:
    """Whether it is the number of an epoch with its layers' gradients, None where infinite."""
    return (
        isinstance(one, dict)
        and type(one.get("epoch")) is int
        and isinstance(one.get("gradient"), dict)
        and all(isinstance(some, list) for some in one["gradient"].values())
        and all(v is None or is_finite(v) for some in one["gradient"].values() for v in some)
    )


def draw_diagnosis(
    run: Run, layers: Sequence[Diagnosis], history: Sequence[dict[str, Any]] = ()
) -> None:
    """Gradient by level, saturation and radii by gate, as diagnose.png."""
    # Imported here: matplotlib takes a second, and only the command draws.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = [(layer, gate) for layer in layers for gate in _gates(layer)]
    size = 13, max(4.5, 1.5 + 0.3 * len(rows))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.1))
    left, middle, right = figure.subplots(1, 3, width_ratios=(2, 1, 1))
    _draw_gradients(left, layers, history)
    _draw_saturation(middle, rows)
    _draw_radii(right, rows)
    right.sharey(middle)
    right.tick_params(labelleft=False)
    write(run.directory / "diagnose.png", lambda path: figure.savefig(path, format="png", dpi=120))


def _draw_gradients(
    axes: Any, layers: Sequence[Diagnosis], history: Sequence[dict[str, Any]]
) -> None:
    for number, layer in enumerate(layers):
        color = f"C{number % 10}"
        for epoch in history:
            axes.plot(*_positive(epoch["gradient"].get(layer.name, [])), color=color, alpha=0.2)
        label = f"{layer.name}: {judge(layer.gradient).word}"
        mark = "o" if len(layer.gradient) < 30 else None
        axes.plot(*_positive(layer.gradient), color=color, marker=mark, markersize=4, label=label)
    axes.axhspan(VANISHING, EXPLODING, color="tab:green", alpha=0.08, label="fine")
    if history:
        axes.plot([], [], color="gray", alpha=0.4, label="during training")
    axes.set_yscale("log")
    axes.set(
        title="gradient of the last nodes' output",
        xlabel="distance to the last node (levels)",
        ylabel="norm, relative to that at the last node",
    )
    axes.legend(loc="best")


def _draw_saturation(axes: Any, rows: Sequence[tuple[Diagnosis, str]]) -> None:
    known = [
        (place, layer.saturation[gate])
        for place, (layer, gate) in enumerate(rows)
        if gate in layer.saturation
    ]
    places = [place for place, _ in known]
    low, high = [-one.low for _, one in known], [one.high for _, one in known]
    axes.barh(places, low, 0.6, color="tab:blue", label="below 0.1, of a tanh below -0.9")
    axes.barh(places, high, 0.6, color="tab:orange", label="above 0.9")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["1", "0.5", "0", "0.5", "1"])
    names = [f"{layer.name}: {gate}" for layer, gate in rows]
    axes.set(title="saturated gates", xlabel="share of values", xlim=(-1.1, 1.1))
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    _legend_below(axes)


def _draw_radii(axes: Any, rows: Sequence[tuple[Diagnosis, str]]) -> None:
    for measure, (marker, label) in MARKS.items():
        points = [
            (radius.value, place)
            for place, (layer, gate) in enumerate(rows)
            for radius in layer.radii
            if radius.gate == gate and radius.measure == measure
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker, markersize=5, alpha=0.7, label=label)
    axes.axvline(1, color="black", linewidth=0.8, linestyle="--")
    values = (radius.value for layer, _ in rows for radius in layer.radii)
    largest = max(filter(math.isfinite, values), default=1)
    axes.set(title="recurrent matrices", xlabel="radius", xlim=(0, 1.1 * max(1, largest)))
    _legend_below(axes)


def _legend_below(axes: Any) -> None:
    # Placed in inches: a share of the height is another distance for every number of rows.
    height = axes.figure.get_size_inches()[1] - 1
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.5 / height))


def _positive(gradient: Sequence[float | None]) -> tuple[list[int], list[float]]:
    """Distances and values that a logarithmic axis can show."""
    shown = {at: v for at, v in enumerate(gradient) if v is not None and 0 < v < math.inf}
    return list(shown), list(shown.values())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _short(value: float) -> str:
    """`1e-7`, `0.3`, `40`, `3e4`."""
    if value == 0 or 0.01 <= value < 1000:
        return f"{value:.2g}" if value < 100 else f"{value:.0f}"
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else "infinity"
