"""The papers that a docstring refers to, from the table of docs/papers.md."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Paper(NamedTuple):
    authors: str
    years: tuple[str, ...]
    # With its link, where it has one.
    title: str


@cache
def papers() -> list[Paper]:
    """The rows of docs/papers.md."""
    page = (Path(__file__).parent / "papers.md").read_text()
    rows = re.findall(r"^\| ([^\d|]+) (\d[^|]*) \| (.*) \|$", page, re.MULTILINE)
    return [Paper(authors, tuple(years.split(", ")), title) for authors, years, title in rows]


def papers_part(docstring: str) -> str:
    """The papers of a component's docstring, as a part of its page; nothing if it has none."""
    found = [f"- {paper.authors} ({paper.years[0]}), {paper.title}" for paper in cited(docstring)]
    return "\n".join(["## Papers", "", *found]) if found else ""


def cited(docstring: str) -> list[Paper]:
    """The papers of a docstring: of several by the same name, those whose title stands there."""
    text = " ".join(docstring.split())
    named = [paper for paper in papers() if is_named(paper, text)]
    quoted = [title.lower() for title in re.findall(r'"([^"]+)"', text)]

    def is_meant(paper: Paper) -> bool:
        alone = [one[:2] for one in named].count(paper[:2]) == 1
        return alone or any(paper.title.lower().strip("[").startswith(one) for one in quoted)

    return [paper for paper in named if is_meant(paper)]


def is_named(paper: Paper, text: str) -> bool:
    authors = f"[{paper.authors[0].upper()}{paper.authors[0]}]{re.escape(paper.authors[1:])}"
    return re.search(rf"\b{authors} \(?({'|'.join(paper.years)})\b", text) is not None
