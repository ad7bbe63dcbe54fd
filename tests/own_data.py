"""Small data of a user's own: visits, trees and graphs, whose targets can be learned."""

import json
import random

import pandas as pd

# The words that train on what `source` writes.
KINDS = {
    "sequences": ("task=sequences", "task.id=visit", "task.order=minute"),
    "trees": ("task=own_trees", "topology.arity=null"),
    "graphs": ("task=graphs", "topology=ordered_graph"),
}
HEAD = ["visit", "minute", "pulse", "drug", "age", "label"]


def visits(count=60, seed=0):
    """Rows of visits that are told apart by how the pulse changes."""
    draw = random.Random(seed)
    for number in range(count):
        sick, minute, age = number % 2, 0, draw.randrange(20, 80)
        for step in range(draw.randrange(2, 6)):
            minute += draw.randrange(1, 9)
            pulse = "" if step and draw.random() < 0.1 else round(70 + 9 * sick * (step % 2), 1)
            yield [f"v{number}", minute, pulse, draw.choice("ab"), age, "sick" if sick else "well"]


def trees():
    for number in range(60):
        word = "good" if number % 2 else "bad"
        children = [{"word": "film"}, {"word": word}][: 1 + number % 2 + 1]
        yield {"label": "yes" if number % 2 else "no", "word": "is", "children": children}


def graphs():
    for number in range(60):
        nodes = [{"element": "CN"[number % 2], "charge": at} for at in range(2 + number % 3)]
        edges = [[at, at + 1] for at in range(len(nodes) - 1)]
        yield {"nodes": nodes, "edges": edges, "label": "CN"[number % 2]}


def write_lines(path, records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def source(kind, folder):
    """A file of a kind, and one of its samples as an object."""
    if kind == "sequences":
        frame = pd.DataFrame(visits(), columns=HEAD)
        frame.to_csv(folder / "visits.csv", index=False)
        rows = frame[frame["visit"] == "v3"]
        steps = rows[["minute", "pulse", "drug"]].to_dict("records")
        steps = [{**one, "pulse": one["pulse"] or None} for one in steps]
        return folder / "visits.csv", {"age": int(rows["age"].iloc[0]), "steps": steps}
    every = list(trees() if kind == "trees" else graphs())
    unlabelled = {key: value for key, value in every[3].items() if key != "label"}
    return write_lines(folder / f"{kind}.jsonl", every), unlabelled
