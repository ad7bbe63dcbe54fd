"""A task of one's own
===================

The class of a series: on every line of a file a class, a tab, and numbers separated by spaces::

    structnet train --plugin examples/series_task.py task=series task.root=FILE
"""

from pathlib import Path

import numpy as np

import structnet as sn


@sn.tasks.register("series")
class Series(sn.Task):
    structures, input_size = ("sequence",), 1

    def __init__(self, *, root: str = "series.txt"):
        self.root = Path(root)

    def load(self, topology):
        labels = {line.split("\t")[0] for line in sn.read_text(self.root).splitlines()}
        classes = self.classes or sorted(labels)
        found = list(self.read(self.root, topology, classes))
        splits = {"test": found[::4], "validation": found[1::4], "train": found[2::4] + found[3::4]}
        return sn.Splits(splits, classes=classes)

    def read(self, path, topology, classes=None):
        classes = classes or self.classes
        for number, line in enumerate(sn.read_text(path).splitlines(), start=1):
            label, _, values = line.partition("\t")
            x = np.array([[float(value)] for value in values.split()], np.float32)
            y = classes.index(label) if label in classes else sn.IGNORE
            yield sn.Sample(len(x), x, y, origin=sn.Origin(path, number, line))


if __name__ == "__main__":
    print(dict(sn.tasks.options("series")))
