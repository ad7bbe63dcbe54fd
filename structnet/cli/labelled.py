"""Texts whose words have classes, as `predict` prints them on a terminal and elsewhere."""

from collections.abc import Sequence
from typing import Any

from structnet.system.terminal import console, visible
from structnet.training.labelled import Labelled

COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red", "bright_cyan", "bright_green",
           "bright_yellow", "bright_magenta", "bright_blue", "bright_red")  # fmt: skip


def print_labelled(texts: Sequence[Labelled]) -> None:
    """Print texts: on a terminal in a line each, with coloured words, else in columns."""
    out = console()
    if not out.is_terminal:
        for one in texts:
            print("\n".join(map(visible_columns, one.columns.split("\n")[:-1])))
        return
    names = sorted({name for one in texts for *_, name in one.stretches})
    styles = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}
    for one in texts:
        out.print(_coloured(one, styles), soft_wrap=True)


def visible_columns(line: str) -> str:
    return "\t".join(map(visible, line.split("\t")))


def _coloured(one: Labelled, styles: dict[str, str]) -> Any:
    # Imported here, as help does not need it.
    from rich.text import Text

    words, pieces, at = list(map(visible, one.words)), [], 0
    for first, stop, name in [*one.stretches, (len(one.words), len(one.words), "")]:
        pieces += words[at:first]
        if stop > first:
            said = Text(" ".join(words[first:stop]), style=f"bold {styles[name]}")
            pieces.append(said.append(f"/{visible(name)}", style="not bold dim"))
        at = stop
    return Text(" ").join(Text(one) if isinstance(one, str) else one for one in pieces)
