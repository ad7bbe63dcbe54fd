"""What a diagnosis says of a net: verdicts in words, a table, and the file diagnose.json."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from structnet.diagnosis.gradients import Diagnosis
from structnet.diagnosis.saturation import HIGH, LOW
from structnet.run.plain import is_finite, read_json, shown
from structnet.system.files import write
from structnet.system.terminal import console, counted

# A weight's gradient is the sum over all levels: a thousandth of the others is lost in it, and one
# that is a thousand times the others is all that remains of it. The factor is over all levels: a
# rate near 1 over many levels hides the farthest level just as a small rate over few levels does.
VANISHING, EXPLODING = 1e-3, 1e3
# A gate with a larger share of its values at one end no longer depends on its input.
STUCK = 0.9
HINTS = {
    "vanishing, gated": "try gates that start open: the cell's chrono or forget_bias option",
    "vanishing": "try a gated cell (cell=lstm, cell=gru) or an orthogonal or identity start",
    "exploding": "try trainer.clip_norm, a smaller trainer.learning_rate or a gated cell",
}


class Verdict(NamedTuple):
    """How a gradient changes with the distance from the output.

    Arguments:
        word: vanishing, exploding, fine, or unknown where there is nothing to measure.
        change: the gradient at distance `levels`, relative to that at the last nodes.
        levels: the distance of the largest gradient if it explodes, else the largest distance.
    """

    word: str
    change: float
    levels: int


def judge(gradient: Sequence[float]) -> Verdict:
    """The verdict on gradients by distance; a value that is not finite counts as infinite."""
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
    """Print one table row per gate, then the verdicts."""
    table = Table(title="saturated gates and recurrent matrices")
    for column in ("", "gate", f"share below {LOW['sigmoid']}", f"share above {HIGH}",
                   "spectral radius"):  # fmt: skip
        table.add_column(column, justify="left" if column in ("", "gate") else "right")
    for layer in layers:
        for gate in gates_of(layer):
            row = _row(layer, gate)
            table.add_row(layer.name, gate, *row)
        table.add_section()
    out = console()
    if table.row_count:
        out.print(table)
    for layer in layers:
        for sentence in sentences(layer):
            out.print(sentence, highlight=False, markup=False, soft_wrap=True)


def gates_of(layer: Diagnosis) -> list[str]:
    """The gates of a layer that were measured."""
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
    """Plain data, with null for values that are not finite."""
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
    directory: Path, layers: Sequence[Diagnosis], epoch: int | None = None
) -> dict[str, Any]:
    """Write diagnose.json into a run's directory; the data that it holds.

    The file keeps the gradients of the epochs that were diagnosed in training.

    Arguments:
        directory: of the run.
        layers: the diagnosis of each.
        epoch: the number of epochs trained, during training.
    """
    file = directory / "diagnose.json"
    history = _history(file)
    data = as_data(layers)
    if epoch is not None:
        gradients = {layer["name"]: layer["gradient"] for layer in data}
        # A run that is resumed from an earlier epoch trains some of them again.
        history = [one for one in history if one["epoch"] < epoch]
        history.append({"epoch": epoch, "gradient": gradients})
    saved = {"layers": data, "history": history}
    text = json.dumps(saved, indent=1) + "\n"
    write(file, lambda path: path.write_text(text))
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
    """Whether it is an epoch's number with the gradients of its layers, None where infinite."""
    return (
        isinstance(one, dict)
        and type(one.get("epoch")) is int
        and isinstance(one.get("gradient"), dict)
        and all(isinstance(some, list) for some in one["gradient"].values())
        and all(v is None or is_finite(v) for some in one["gradient"].values() for v in some)
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _short(value: float) -> str:
    """`1e-7`, `0.3`, `40`, `3e4`."""
    if value == 0 or 0.01 <= value < 1000:
        return f"{value:.2g}" if value < 100 else f"{value:.0f}"
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else "infinity"
