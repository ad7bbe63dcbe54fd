"""Finite automata as state diagrams, side by side."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.sequence.automata.automaton import Automaton

# More can't be told apart by eye.
MOST_DRAWN = 30
# In units of the picture: the radius of a state, the distance of neighbours, the size of a loop.
RADIUS, APART, LOOP = 0.32, 1.9, 0.75
# How far arrows bend, as a share of their length.
BEND = 0.18
INCHES, FONT = 0.8, 9
# The most characters of an arrow's label.
LONGEST = 24


def draw_automata(path: Path, automata: Mapping[str, Automaton], title: str) -> None:
    """Draw state diagrams into a PNG file, from left to right.

    Arguments:
        path: of the picture.
        automata: minimal, by the title of their panel, of at most MOST_DRAWN states.
        title: above the picture.
    """
    # Imported here: matplotlib takes a second.
    from matplotlib.figure import Figure

    _figure(automata, title, Figure).savefig(path, format="png", dpi=150)


def picture(automata: Mapping[str, Automaton], title: str = "") -> Any:
    """State diagrams as a figure of matplotlib.pyplot, to show, save or change.

    Accepting states have a double circle, and an arrow from nowhere leads to the start. States from
    which no string is accepted, and arrows to them, are not drawn, unless it is the start.

    Arguments:
        automata: minimal, by the title of their panel, of at most MOST_DRAWN states.
        title: above the picture.
    """
    from matplotlib import pyplot

    return _figure(automata, title, pyplot.figure)


def _figure(automata: Mapping[str, Automaton], title: str, new: Callable[..., Any]) -> Any:
    shown = {name: _drawn(automaton) for name, automaton in automata.items()}
    # A small one still has room for its title.
    sides = [max(3.5, 2 * (_circle(len(s)) + LOOP + RADIUS)) for s in shown.values()]
    height = max(sides) * INCHES + 0.9
    figure = new(figsize=(sum(sides) * INCHES, height), layout="constrained")
    figure.suptitle(title, fontsize=FONT + 1, parse_math=False)
    panels = figure.subplots(1, len(automata), width_ratios=sides, squeeze=False)[0]
    for axes, side, (name, states) in zip(panels, sides, shown.items(), strict=True):
        automaton = automata[name]
        axes.set(xlim=(-side / 2, side / 2), ylim=(-side / 2, side / 2), aspect="equal")
        axes.set_axis_off()
        count = "1 state" if len(automaton) == 1 else f"{len(automaton)} states"
        hidden = "\nthe dead one is not drawn" if len(states) < len(automaton) else ""
        axes.set_title(f"{name}: {count}{hidden}", fontsize=FONT + 1, parse_math=False)
        _draw(axes, automaton, states)
    return figure


def symbols_in_short(symbols: Sequence[str]) -> str:
    """Symbols with ranges, such as `a-z 0`, cut if they are many."""
    runs: list[list[str]] = []
    for symbol in sorted(symbols):
        if runs and ord(symbol) == ord(runs[-1][-1]) + 1 and symbol.isalnum():
            runs[-1].append(symbol)
        else:
            runs.append([symbol])
    spelled = [f"{run[0]}-{run[-1]}" if len(run) > 2 else " ".join(run) for run in runs]
    text = " ".join("space" if one == " " else one for one in spelled)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _drawn(automaton: Automaton) -> list[int]:
    return [state for state in range(len(automaton)) if state == 0 or not automaton.dead[state]]


def _circle(count: int) -> float:
    """The radius of the circle that this number of states lies on."""
    return 0.0 if count == 1 else max(APART / 2, APART / 2 / np.sin(np.pi / count))


def _draw(axes: Any, automaton: Automaton, states: Sequence[int]) -> None:
    """The start at the left, the others after it, clockwise."""
    from matplotlib.patches import Circle

    angles = np.pi - 2 * np.pi * np.arange(len(states)) / len(states)
    outward = dict(zip(states, np.stack([np.cos(angles), np.sin(angles)], 1), strict=True))
    at = {state: _circle(len(states)) * way for state, way in outward.items()}
    _arrow(axes, at[0] + outward[0] * (RADIUS + 0.6), at[0] + outward[0] * RADIUS, bend=0)
    for state in states:
        symbols: dict[int, list[str]] = {}
        for symbol, to in zip(automaton.alphabet, automaton.successors[state], strict=True):
            symbols.setdefault(int(to), []).append(symbol)
        for to, some in symbols.items():
            if to == state:
                _draw_loop(axes, at[state], _loop_way(outward[state], state), some)
            elif to in at:
                _draw_move(axes, at[state], at[to], some)
        rings = (RADIUS, 0.78 * RADIUS) if automaton.accepting[state] else (RADIUS,)
        for radius in rings:
            axes.add_patch(Circle(tuple(at[state]), radius, fc="white", ec="black", zorder=3))
        axes.text(*at[state], str(state), ha="center", va="center", fontsize=FONT, zorder=4)


def _loop_way(outward: NDArray, state: int) -> NDArray:
    """Where a state's loop points: outward, but for the start, whose arrow comes from there."""
    return np.array([0.0, 1.0]) if state == 0 else outward


def _draw_move(axes: Any, start: NDArray, end: NDArray, symbols: Sequence[str]) -> None:
    along = end - start
    length = np.hypot(*along)
    aside = np.array([along[1], -along[0]])
    # The ends are where the bent arrow leaves and enters the circles.
    way = along / length
    out, back = way + 2 * BEND * aside / length, way - 2 * BEND * aside / length
    out, back = out / np.hypot(*out), back / np.hypot(*back)
    _arrow(axes, start + RADIUS * out, end - RADIUS * back, BEND)
    # Nearer to where it comes from than to the middle, where arrows cross.
    bent = (start + end) / 2 + BEND * aside
    _label(axes, 0.36 * start + 0.48 * bent + 0.16 * end, symbols)


def _draw_loop(axes: Any, at: NDArray, way: NDArray, symbols: Sequence[str]) -> None:
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    _arrow(axes, at + RADIUS * (turn @ way), at + RADIUS * (turn.T @ way), bend=-1.6)
    _label(axes, at + (RADIUS + 0.38) * way, symbols)


def _arrow(axes: Any, start: NDArray, end: NDArray, bend: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    style = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0}
    curve = f"arc3,rad={bend}"
    axes.add_patch(
        FancyArrowPatch(tuple(start), tuple(end), connectionstyle=curve, color="black", **style)
    )


def _label(axes: Any, at: NDArray, symbols: Sequence[str]) -> None:
    box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"}
    axes.text(*at, symbols_in_short(symbols), ha="center", va="center", fontsize=FONT - 1,
              bbox=box, zorder=5, parse_math=False)  # fmt: skip
