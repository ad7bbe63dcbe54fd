"""Entities written as a tag per word, in the schemes BIO and BIOES, and read as conlleval does.

B-KIND begins an entity of a kind, I-KIND goes on with it, O is outside of all. In BIOES an entity
ends with E-KIND, and S-KIND is one of a single word; BILOU has L and U for these.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

import structnet as sn

Scheme = Literal["BIO", "BIOES"]
OUTSIDE = "O"
SAME = {"L": "E", "U": "S"}
# Of tags in a sentence: those that begin an entity, and those that go on with one.
BEGIN, INSIDE = ("B", "S"), ("I", "E")


class Entity(NamedTuple):
    """An entity: its first word, the word after its last one, and its kind."""

    first: int
    stop: int
    kind: str


class Part(NamedTuple):
    """What a tag says: the prefix, one of B, I, E, S and O, and the kind."""

    prefix: str
    kind: str


def part(tag: str) -> Part:
    prefix, _, kind = tag.partition("-")
    return Part(SAME.get(prefix, prefix), kind)


def is_part(tag: str | None) -> bool:
    """Whether a tag is one of entities; B and I alone are, where there is a single kind."""
    if tag is None or tag.endswith("-"):
        return False
    return tag == OUTSIDE or part(tag).prefix in (*BEGIN, *INSIDE)


def read_entities(tags: Iterable[str]) -> list[Entity]:
    """The entities of a sentence, as conlleval.pl of CoNLL-2000 reads them.

    An entity begins with B or S, and with I or E where none of its kind is there to go on with.
    """
    found: list[Entity] = []
    first, before = 0, Part(OUTSIDE, "")
    for at, now in enumerate(map(part, [*tags, OUTSIDE])):
        begins = _begins(before, now)
        if before.prefix != OUTSIDE and (begins or now.prefix == OUTSIDE):
            found.append(Entity(first, at, before.kind))
        if begins:
            first = at
        before = now
    return found


def lone_inside(tags: Sequence[str]) -> int | None:
    """The first word whose I or E has no entity to go on with; None if there is none."""
    pairs = pairwise(map(part, [OUTSIDE, *tags]))
    lone = (at for at, (a, b) in enumerate(pairs) if b.prefix in INSIDE and _begins(a, b))
    return next(lone, None)


def _begins(before: Part, now: Part) -> bool:
    if now.prefix in INSIDE:
        return before.prefix in (OUTSIDE, "E", "S") or before.kind != now.kind
    return now.prefix in BEGIN


def write_entities(entities: Iterable[Entity], length: int, scheme: Scheme) -> list[str]:
    """A tag per word for the entities of a sentence of a length."""
    tags = [OUTSIDE] * length
    for first, stop, kind in entities:
        prefixes = ["B", *"I" * (stop - first - 1)]
        if scheme == "BIOES":
            prefixes[-1] = "S" if stop - first == 1 else "E"
        tags[first:stop] = [f"{prefix}-{kind}" if kind else prefix for prefix in prefixes]
    return tags


def transitions(classes: Sequence[str], scheme: Scheme) -> "sn.Transitions":
    """Which of the tags of a scheme may follow which, so that entities begin and end as they do."""
    parts = list(map(part, classes))
    goes_on = np.array([one.prefix in INSIDE for one in parts])
    is_open = np.array([one.prefix in ("B", "I") for one in parts])
    same = np.array([[a.kind == b.kind for b in parts] for a in parts])
    # Entry i, j: class j after class i.
    follow = ~goes_on | (is_open[:, None] & same)
    if scheme == "BIO":
        return sn.Transitions(follow, ~goes_on, np.ones_like(goes_on))
    return sn.Transitions(follow & (goes_on | ~is_open[:, None]), ~goes_on, ~is_open)
