"""Compiled programs on disk: what is kept, where, and what becomes of damaged entries."""

import functools
import os
from dataclasses import replace
from unittest.mock import Mock
from weakref import WeakKeyDictionary

import pytest
import torch
from conftest import assert_same, everything, features
from test_compiled import Affine, built

import structnet as sn
from structnet.cell import base
from structnet.cell import product as products
from structnet.execute.compiled import finished, known, linking, program, store
from structnet.execute.compiled.signature import Signature, tensors_of
from structnet.system.cache import VARIABLE

# A cell on nodes that all have a predecessor, or may.
KIND = (Signature((4, 0, 0), 1, False, False, *[torch.float32] * 2, torch.device("cpu")), None)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "programs"))
    return tmp_path / "programs"


def forget(monkeypatch):
    """As a new process, which has no programs in memory."""
    monkeypatch.setattr(known, "_programs", {})
    monkeypatch.setattr(known, "_known", WeakKeyDictionary())


def cell(name="elman", **options):
    return sn.Recurrence("chain", name, 3, 4, **options).cells[0]


def name(one):
    return store.name_of(one, KIND)


def test_a_program_that_was_kept_gives_the_same_bits_without_compiling(place, monkeypatch):
    forget(monkeypatch)
    layer, plans = built("chain", "gru", hidden_size=19, reset="before")
    x = features(plans)
    expected = everything(layer, x, plans, executor="compiled")
    forget(monkeypatch)
    made = known.counts.made
    with monkeypatch.context() as patch:
        # Neither traced nor compiled.
        patch.setattr(known, "_trace", None)
        patch.setattr(linking, "prepare", None)
        assert_same(everything(layer, x, plans, executor="compiled"), expected, 0)
        # What was kept for training does for evaluation.
        forget(monkeypatch)
        with torch.no_grad():
            assert_same(layer(x, plans, executor="compiled"), expected["output"], 0)
    # What counts programs must not see whether they were on disk.
    assert known.counts.made == made + len(known._programs) * 2


@pytest.mark.slow
def test_a_damaged_entry_is_made_anew(place, monkeypatch):
    forget(monkeypatch)
    layer, plans = built("chain", "elman", hidden_size=5)
    x = features(plans)
    expected = everything(layer, x, plans, executor="compiled")
    # A function in its place would keep programs from the disk.
    trace = Mock(wraps=known._trace)
    monkeypatch.setattr(known, "_trace", trace)
    for pattern in ("*.json", "*.so"):
        for file in place.glob(pattern):
            whole = file.read_bytes()
            # Another file, as this one is mapped into memory.
            file.unlink()
            file.write_bytes(whole[:-9] + b"x" * 9)
        for is_damaged in (True, False):
            forget(monkeypatch)
            trace.reset_mock()
            assert_same(everything(layer, x, plans, executor="compiled"), expected, 0)
            assert trace.called == is_damaged


@pytest.mark.parametrize("name", ["elman", "gru", "lstm", "mut1"])
def test_the_weights_of_a_program_that_was_kept_are_those_of_the_cell(name):
    one = cell(name)
    columns = one.project(torch.zeros(1, 3)).shape[1]
    made = program.Program(one, replace(KIND[0], columns=(columns, 0, 0), slots=one.arity))
    steps, out = finished.steps_of(made.weights)
    assert len(out) == len(made.products) > 0
    given = [*[None] * (1 + made.num_states), *tensors_of(one).values()]
    expected = made.weigh(given[1 + made.num_states :])
    assert_same(
        dict(enumerate(finished.run_steps(steps, out, given))), dict(enumerate(expected)), 0
    )


def test_cells_that_do_other_things_have_other_names(place):
    one = cell()
    assert name(one) == name(cell()) == name(cell().eval()) is not None
    others = [
        cell("mgu"),
        cell(nonlinearity="relu"),
        cell(dtype=torch.float64),
        sn.Recurrence("chain", "elman", 3, 5).cells[0],
        cell().requires_grad_(False),
    ]
    names = [name(other) for other in others]
    assert None not in names and len({name(one), *names}) == len(names) + 1
    other_kind = (KIND[0], torch.bfloat16)
    assert store.name_of(one, other_kind) not in (None, name(one))


def test_other_sources_and_settings_have_other_names(place, monkeypatch):
    one = cell()
    before = name(one)
    with monkeypatch.context() as patch:
        patch.setattr(store, "_sources", lambda file: "other")
        assert name(one) not in (None, before)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "9.0")
        store._machine.cache_clear()
        assert name(one) not in (None, before)
    store._machine.cache_clear()
    assert name(one) == before


def test_a_changed_file_of_a_cell_changes_its_sources(tmp_path):
    file = tmp_path / "cell.py"
    file.write_text("a = 1")
    before = store._sources(str(file))
    store._sources.cache_clear()
    file.write_text("a = 2")
    assert store._sources(str(file)) != before


def test_what_may_do_other_things_in_another_process_is_not_kept(place, monkeypatch):
    hooked, replaced, odd = cell(), cell(), cell()
    hooked.register_forward_hook(lambda *given: None)
    replaced.forward = lambda *given: None
    odd.note = object
    mine = sn.Recurrence("chain", Affine, 3, 4).cells[0]
    assert [name(one) for one in (hooked, replaced, odd, mine)] == [None] * 4
    assert name(cell()) is not None
    monkeypatch.setattr(type(cell()), "forward", lambda *given: None)
    assert name(cell()) is None


def test_nothing_is_kept_where_others_may_write(place):
    assert store.folder() == place.resolve()
    assert place.stat().st_mode & 0o777 == 0o700
    for mode in (0o770, 0o707, 0o1777):
        place.chmod(mode)
        assert store.folder() is None and name(cell()) is None
    place.chmod(0o700)
    place.parent.chmod(0o777)
    assert store.folder() is None
    place.parent.chmod(0o1777)
    assert store.folder() == place.resolve()


def test_nothing_is_kept_where_none_is_wanted_or_possible(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    assert store.folder() is None
    (tmp_path / "file").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "programs"))
    assert store.folder() is None
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert store.folder() == (tmp_path / "home" / "structnet").resolve()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owners")
def test_nothing_is_kept_in_a_folder_of_someone_else(place, monkeypatch):
    assert store.folder() is not None
    # Root's folders are as good as one's own.
    if os.getuid() == 0:
        os.chown(place, 4321, -1)
    owner = place.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert store.folder() is None
    monkeypatch.setattr(os, "getuid", lambda: owner)
    assert store.folder() == place.resolve()


def doubled(function):
    """As a decorator of a user's, which takes over the name of the module."""

    @functools.wraps(function)
    def double(*given, **options):
        return 2 * function(*given, **options)

    return double


def test_a_library_that_was_patched_keeps_nothing(place, monkeypatch):
    assert name(cell()) is not None
    for owner, attribute in (
        (sn.cells["elman"], "forward"),
        (sn.Cell, "mean"),
        (products, "product"),
        (base, "masked"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, attribute, doubled(getattr(owner, attribute)))
            assert name(cell()) is None, attribute
    assert name(cell()) is not None
