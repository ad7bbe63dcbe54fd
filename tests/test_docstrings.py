"""The examples in the docstrings of public names."""

import doctest
import warnings

import numpy as np
import pytest
import torch

import structnet as sn

FINDER, RUNNER = doctest.DocTestFinder(), doctest.DocTestRunner()


def examples_of(name):
    """What stands after >>> in the docstring of a public name and of its methods."""
    one, known = getattr(sn, name), {"sn": sn, "np": np, "torch": torch}
    is_own = callable(one) and getattr(one, "__module__", "").startswith("structnet.")
    found = FINDER.find(one, name, globs=known) if is_own else []
    return [example for example in found if example.examples]


SHOWN = [name for name in sn.__all__ if examples_of(name)]


def test_the_names_that_one_begins_with_have_examples():
    first = {
        "RNN", "Recurrence", "Stepper", "Topology", "Vocabulary", "ancestors", "children",
        "collate", "fit", "left_child_right_sibling", "schedule",
    }  # fmt: skip
    assert first <= set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_examples_of_docstrings_give_what_they_show(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for example in examples_of(name):
        said = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            failed, tried = RUNNER.run(example, out=said.append)
        assert tried and not failed, "".join(said)
