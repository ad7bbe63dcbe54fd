"""What a net gets wrong as a page for a browser, in one file without scripts."""

import re
from collections.abc import Sequence
from html import escape
from io import StringIO
from typing import Any

from structnet.data.batch import Sample
from structnet.draw.samples import drawing_of
from structnet.run.run import Run
from structnet.system.terminal import visible
from structnet.training.misses import Miss, Misses
from structnet.training.mistakes import Mistake, Mistakes

# The most pairs of classes in the table.
PAIRS = 20
STYLE = """
body { font: 15px/1.5 sans-serif; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.4em; } h2 { font-size: 1.05em; margin: 2.2em 0 0.3em; }
table { border-collapse: collapse; } th, td { padding: 0.15em 1em 0.15em 0; text-align: left; }
td.count { text-align: right; } p { margin: 0.2em 0; } .place { color: #777; }
figure { margin: 0.5em 0; overflow-x: auto; } figure svg { display: block; }
"""


def errors_page(
    run: Run, net: Any, samples: Sequence[Sample], found: Mistakes | Misses, split: str
) -> str:
    """A page of HTML: which class is taken for which or how far numbers are off, and the worst.

    Where the task draws its samples, each of the worst has its picture, in SVG.

    Arguments:
        run: the net's run.
        net: the trained net.
        samples: the split.
        found: in these samples.
        split: its name.
    """
    title = f"{' '.join(run.parts)} on {run.config['task']['name']}, {split}"
    about = _numbers(found, split) if isinstance(found, Misses) else _classes(found)
    parts = [f"<h1>{_text(title)}</h1>", *about]
    for number, one in enumerate(found.worst, start=1):
        parts.append(_heading(number, one, split))
        group = one.sample - one.sample % run.task.group
        some = [samples[i] for i in range(group, group + run.task.group)]
        drawing = drawing_of(run.task, run.topology, net, some, one.sample - group)
        if drawing is not None:
            parts.append(_picture(drawing, number))
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}'
        f"</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _numbers(found: Misses, split: str) -> list[str]:
    if not found.worst:
        return [f"<p>No number is known in {_text(split)}.</p>"]
    below = f"<p>Below, the {len(found.worst):,} furthest.</p>"
    return [*(f"<p>{_text(one.text(split))}</p>" for one in found.spreads), below]


def _classes(found: Mistakes) -> list[str]:
    wrong = found.confusions.total()
    share = f" ({wrong / found.decided:.1%})" if found.decided else ""
    said = f"{wrong:,} of {found.decided:,} wrong{share}. Below, the {len(found.worst):,} worst."
    return [f"<p>{said}</p>", _confusions(found)]


def _confusions(found: Mistakes) -> str:
    rows = "".join(
        f'<tr><td class="count">{count:,}</td><td>{_text(true)}</td><td>{_text(said)}</td></tr>\n'
        for (true, said), count in found.confusions.most_common(PAIRS)
    )
    return f"<table><tr><th>times</th><th>class</th><th>taken for</th></tr>\n{rows}</table>"


def _heading(number: int, one: Mistake | Miss, split: str) -> str:
    """The classes of a mistake or its number, its text, and where it is."""
    if one.around is not None:
        before, name, after = one.around
        marked = [_text(" ".join(before)), f"<b>{_text(name)}</b>", _text(" ".join(after))]
        text = " ".join(filter(None, marked))
        if not (before or after) and one.text is not None:
            text += f"</p>\n<p>{_text(one.text)}"
    else:
        text = _text(one.text or "")
    place = f"{split} sample {one.sample}" + ("" if one.node is None else f", node {one.node}")
    if one.origin is not None:
        place += f", {one.origin.path}:{one.origin.line}"
    if isinstance(one, Miss):
        name = "" if one.target is None else f"{one.target} "
        said = f"{name}{one.true:.5g}, predicted {one.predicted:.5g}, off by {one.off:+.3g}"
    else:
        said = (
            f"{one.true} {one.true_probability:.3f}, taken for "
            f"{one.predicted} {one.probability:.3f}"
        )
    return f'<h2>{number}. {_text(said)}</h2>\n<p>{text}</p><p class="place">{_text(place)}</p>'


def _picture(drawing: Any, number: int) -> str:
    """A drawing as SVG to stand in a page; ValueError from a drawing is shown in its place."""
    from matplotlib import rc_context

    try:
        figure = drawing.figure("")
    except ValueError as error:
        return f"<p>{_text(str(error))}</p>"
    made = StringIO()
    # Text remains text; names of shapes are those of this picture alone.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": str(number)}):
        figure.savefig(made, format="svg", metadata={"Date": None})
    svg = made.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.S)
    # Groups have names that are the same in every picture, and that nothing refers to.
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    return f"<figure>{svg}</figure>"


def _text(text: str) -> str:
    return escape(visible(text))
