"""Texts that differ in word order alone
=====================================

``python examples/word_order.py pairs`` writes praise and blame in the same words. A net learns them
by ``structnet train task=classification task.root=pairs``."""

import sys
from itertools import permutations, product
from pathlib import Path

VERBS = ("see", "watch", "rent", "own", "recommend", "finish", "review", "share", "stream", "show")
FILMS = ("movie", "film", "series", "comedy", "drama", "thriller")


def pairs():
    """Texts of the same words, one in praise of this film, the other of that one."""
    for verb, (this, that) in product(VERBS, permutations(FILMS, 2)):
        praise, blame = f"How can you not {verb}", f"You should not {verb}"
        yield (
            f"{praise} this {this}? {blame} that {that}.",
            f"{blame} this {this}. {praise} that {that}?",
        )


def split():
    """The texts with their classes: every fifth pair each for test and validation."""
    splits = {"test": [], "validation": [], "train": []}
    for number, (praise, blame) in enumerate(pairs()):
        name = ("test", "validation", "train", "train", "train")[number % 5]
        splits[name] += [(praise, "praise"), (blame, "blame")]
    return splits


if __name__ == "__main__":
    for name, texts in split().items():
        rows = "".join(f"{text}\t{label}\n" for text, label in texts)
        print(f"{name}.tsv: {len(texts)} texts, the first two:", *texts[:2], sep="\n  ")
        for folder in map(Path, sys.argv[1:]):
            folder.mkdir(exist_ok=True)
            (folder / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
