"""The pages of components: what they say of cells, and where they lead."""

import importlib.util
import json
import re

import cell_pages
import pytest
from cell_pages import KINDS, able_of, formula, polynomial, shown, states_part, value, weights_part
from component_pages import REGISTRIES, built_in, is_built_in
from executor_pages import cells_part, takes_part
from paper_links import cited, papers, papers_part
from reading import CHOICES, DOCS, USED, chosen, example_part, see_also_part

import structnet as sn

COMPONENTS = [
    pytest.param(kind, name, id=f"{kind}-{name}")
    for kind, registry in REGISTRIES.items()
    for name in registry.names()
    if is_built_in(registry, name)
]
CELLS = [name for name in sn.cells.names() if is_built_in(sn.cells, name)]


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_component_has_an_example_that_composes_and_a_page_that_names_it(kind, name):
    words, page = USED[kind][name]
    assert bool(example_part(kind, name)) == bool(words)
    assert f"../../{page}.md" in see_also_part(kind, name)
    text = (DOCS / f"{page}.md").read_text()
    if not words:
        # What sn.fit makes of what it is given.
        assert "sn.fit" in text
    else:
        assert name in text.lower() or any(one in text for one in words.split())


def test_nothing_is_used_that_is_not_registered():
    assert {kind: set(of) for kind, of in USED.items()} == {
        kind: {name for name in registry.names() if is_built_in(registry, name)}
        for kind, registry in REGISTRIES.items()
    }


def test_an_example_of_something_else_is_an_error(monkeypatch):
    monkeypatch.setitem(USED["cell"], "gru", ("cell=lstm", "layers"))
    with pytest.raises(ValueError, match="has 'lstm'"):
        example_part("cell", "gru")
    assert chosen("cell=gru", "cell") == "gru"


def test_the_page_of_choices_has_the_parts_that_are_linked():
    heads = [line.lower() for line in (DOCS / "choose.md").read_text().splitlines()]
    for anchor in CHOICES.values():
        assert any(head.replace(":", "").replace(" ", "-") == f"##-{anchor}" for head in heads)


def test_the_number_of_weights_is_a_formula_in_inputs_and_units():
    chain, tree = sn.topologies.create("chain"), sn.topologies.create("tree")
    assert formula("lstm", chain) == "4 I H + 4 H² + 4 H"
    assert formula("lstm", tree) == "4 I H + 10 H² + 4 H"
    assert formula("mut1", chain) == "3 I H + 2 H² + 3 H; where I = H, 4 H² + 3 H"
    assert "| 131,584 |" in weights_part("lstm")


def test_a_count_that_is_no_polynomial_is_refused():
    assert value(polynomial(lambda i, h: 3 * i * h + 2, cell_pages.SAMPLES), 7, 5) == 107
    with pytest.raises(ValueError, match="are not"):
        polynomial(lambda i, h: 2**h, cell_pages.SAMPLES)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_has_a_formula_and_states(name):
    for topology, options, *_ in KINDS.values():
        assert "H" in formula(name, sn.topologies.create(topology, **options))
    (_, *rows) = states_part(name).split("|---|---|")[1].split("\n")
    assert [row.split("|")[1].strip() for row in rows] == list(
        sn.cells.create(name, 3, 4, 1).states
    )


def test_executors_are_those_that_refuse_nothing():
    chain = sn.topologies.create("chain")
    assert able_of("lstm", chain, 3) == ["torch", "batched", "compiled"]
    assert able_of("mingru", chain, 3) == ["scan", "batched", "compiled"]
    graph = KINDS["graph"]
    assert able_of("mingru", sn.topologies.create("graph"), graph[2]) == ["batched", "compiled"]


def test_an_equation_that_is_not_read_is_code():
    assert shown("h = a ~ b") == "```text\nh = a ~ b\n```"
    assert shown("h = a * b") == "```{math}\nh = a \\odot b\n```"


def test_measured_costs_are_shown_with_their_ratios(tmp_path, monkeypatch):
    us = {"forward": [2.0, 1.9, 2.2], "step": [6.0, 5.0, 8.0]}
    row = {"auto": us, "batched": us, "nn.LSTM": us, "floor": {"step": [3.0, 3.0, 3.0]}}
    found = {"date": "2026-01-02", "command": "python measure.py", "repeats": 7, "batch": 64,
             "units": 128, "machine": {"processor": "One", "torch": "2"},
             "cells": {"lstm": {"chain": row}}}  # fmt: skip
    monkeypatch.setattr(cell_pages, "COSTS", tmp_path / "costs.json")
    assert cell_pages.cost_part("lstm") == ""
    cell_pages.COSTS.write_text(json.dumps(found))
    said = cell_pages.cost_part("lstm")
    assert "| `chain` | `auto` | 2.0 (1.9 to 2.2) | 6.0 (5.0 to 8.0) | 1.0 | 2.0 |" in said
    assert "2026-01-02, One, torch 2, 7 repeats: `python measure.py`." in said
    assert cell_pages.cost_part("gru") == ""


def test_a_case_is_measured_and_shown_as_the_file_has_it(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("measure_costs", DOCS / "costs" / "measure.py")
    costs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(costs)
    monkeypatch.setattr(costs, "BATCH", 2)
    monkeypatch.setattr(costs, "UNITS", 4)
    row = costs.measured("chain", "elman", costs.torch_lstm(), repeats=1)
    assert sorted(row.pop("floor")) == ["step"] and sorted(row) == ["auto", "batched", "nn.LSTM"]
    assert all(sorted(of) == ["forward", "step"] for of in row.values())
    row["floor"] = {"step": [1.0, 1.0, 1.0]}
    assert all(median > 0 for of in row.values() for median, *_ in of.values())
    monkeypatch.setattr(cell_pages, "COSTS", tmp_path / "costs.json")
    costs.write(cell_pages.COSTS, {"elman": {"chain": row}}, 1, 2.0)
    assert "| `chain` | `batched` |" in cell_pages.cost_part("elman")
    assert costs.built_in() == CELLS
    with pytest.raises(SystemExit, match="no option 'cell=gru'"):
        costs.options(["cell=gru"])


def test_what_was_measured_is_small_and_is_of_every_cell():
    if not cell_pages.COSTS.exists():
        pytest.skip("docs/costs/measure.py was not run")
    assert cell_pages.COSTS.stat().st_size < 30_000
    assert sorted(json.loads(cell_pages.COSTS.read_text())["cells"]) == CELLS


NAME = r"[A-Z][\w-]+(?: et al\.| and [A-Z]\w+)"


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_every_paper_that_a_component_names_is_on_the_page_of_papers(kind, name):
    text = " ".join((REGISTRIES[kind][name].__doc__ or "").split())
    found = cited(text)
    for author, year in re.findall(rf"({NAME}) \(?(\d{{4}}[ab]?)\b", text):
        (paper,) = [one for one in found if one.authors.endswith(author) and year in one.years]
        assert paper.title in papers_part(text)


def test_every_paper_of_the_page_is_named_by_a_component():
    text = [registry[name].__doc__ or "" for registry in REGISTRIES.values()
            for name in built_in(registry)]  # fmt: skip
    assert {paper for one in text for paper in cited(one)} == set(papers())


def test_of_two_papers_by_the_same_authors_in_a_year_the_one_whose_title_is_named_is_meant():
    (one,) = cited('Socher et al. (2011), "Parsing natural scenes", eq. 2.')
    (other,) = cited('Socher et al. (2011), "Semi-supervised recursive autoencoders", eq. 2.')
    assert (one.authors, one.years) == (other.authors, other.years)
    assert one.title.startswith("Parsing")
    assert other.title.startswith("[Semi-supervised")
    assert not papers_part("Socher et al. (2012), and Tai et al. (20155)")


def test_an_executors_page_has_what_it_takes_and_the_cells_that_it_runs():
    assert "| zoneout | yes |" in takes_part("batched")
    assert "| zoneout | no |" in takes_part("torch")
    cells = built_in(sn.cells)
    assert "| graph | all |" in cells_part("batched", cells)
    assert "[`mingru`](../cell/mingru.md)" in cells_part("scan", cells)
    assert "lstm" not in cells_part("scan", cells).replace("minlstm", "")
    assert cells_part("fused", cells) == ""
