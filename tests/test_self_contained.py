"""What the code of a user's cell may read, so that it can be compiled without being asked."""

import functools
import math
import random
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import structnet as sn
from structnet.execute.compiled.self_contained import Code

SCALE, LOG, COUNT = 2.0, [], 0


def scaled(x):
    return SCALE * x.tanh()


def noted(x):
    LOG.append(len(x))
    return x


class Base(sn.Cell):
    node_gates = ("u",)

    def value(self, z, h):
        (u,), () = self.gates(z, h)
        return u

    def forward(self, z, h):
        return self.last(self.value(z, h))


def changes_global(u):
    global COUNT
    COUNT += 1
    return u


def imports(u):
    import time

    return u * time.time()


def fills(u):
    u[0] = 0
    return u


def cached():
    return functools.lru_cache(lambda x: 2 * x)


def counted():
    count = 0

    def count_and_return(u):
        nonlocal count
        count += 1
        return u

    return count_and_return


def catches(u):
    try:
        return u / float(u.abs().max())
    except RuntimeError:
        return u


@functools.wraps(sn.Cell.mean)
def around_library(u):
    return u * len(LOG)


def with_default(u, seen=[]):  # noqa: B006
    seen.append(u)
    return u


def with_own_torch():
    import torch as other

    factor = 3.0
    return lambda u: other.tanh(factor * u)


KNOWN = {
    "a function of torch": torch.tanh,
    "a function of torch.nn": F.softplus,
    "a helper with a constant": scaled,
    "a module in a closure": with_own_torch(),
    "math": lambda u: math.sqrt(2) * math.pi * u,
    "builtins and constants": lambda u: sum(range(len(u.shape))) * u.new_zeros(1) + torch.ones(1),
    "local lists": lambda u: torch.cat([one.sigmoid() for one in u.chunk(1)]),
    "an error": lambda u: u if u.dim() == 2 else (_ for _ in ()).throw(ValueError(u.shape)),
}
OPEN = {
    "LOG, which noted reads, is a list": noted,
    "changes_global assigns or imports COUNT": changes_global,
    "imports assigns or imports time": imports,
    "fills assigns or imports": fills,
    "assigns or imports count": counted(),
    "a default of with_default is a list": with_default,
    "last is a _lru_cache_wrapper": cached(),
    "global random.random, which": lambda u: u * random.random(),
    "global torch.rand, which": lambda u: u * torch.rand(()),
    "global torch.is_grad_enabled": lambda u: u if torch.is_grad_enabled() else 2 * u,
    "global print, which": lambda u: (print("called"), u)[1],
    "global getattr": lambda u: getattr(u, "tanh")(),  # noqa: B009
    "last is a method": nn.Tanh().forward,
    "uses register_hook": lambda u: (u.register_hook(lambda g: g.clamp(-1, 1)), u)[1],
    "uses requires_grad": lambda u: u if u.requires_grad else 2 * u,
    "catches catches errors": catches,
    "the global LOG, which Cell.mean reads": around_library,
    "uses __dict__": lambda u: u * len(u.__dict__),
}


def cell(last, kind=Base):
    made = kind(2, 3, 1)
    made.last = last
    return made


@pytest.mark.parametrize("last", KNOWN.values(), ids=KNOWN)
def test_known_code(last):
    assert Code(cell(last)).why_not is None


@pytest.mark.parametrize(("reason", "last"), OPEN.items(), ids=OPEN)
def test_code_that_may_change_or_do_more_is_named(reason, last):
    assert reason in Code(cell(last)).why_not


class Shared(Base):
    calls = []  # noqa: RUF012

    def last(self, u):
        self.calls.append(1)
        return u


class Setting(Base):
    def last(self, u):
        self.steps = 1
        return u


class Held(Base):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.sizes = [1, 2]

    def last(self, u):
        return u


class Plain(Base):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.scale = torch.ones(())

    def last(self, u):
        return self.scale * u


class Evaluating(Base):
    def last(self, u):
        self.eval()
        return u


class Cached(Base):
    @functools.cached_property
    def factor(self):
        return random.random()

    def last(self, u):
        return u * self.factor


class Computed(Base):
    @property
    def factor(self):
        return random.random()

    def last(self, u):
        return u * self.factor


@pytest.mark.parametrize(("kind", "reason"), [
    (Shared, "Shared.calls is a list"), (Setting, "Setting.last assigns or imports steps"),
    (Held, "Held.sizes is a list"), (Plain, "Plain.scale is a Tensor"),
    (Evaluating, "Evaluating.last uses eval"),
    (Cached, "Cached.factor is a cached_property"), (Computed, "random.random"),
])  # fmt: skip
def test_what_a_class_holds_and_changes_is_named(kind, reason):
    assert reason in Code(kind(2, 3, 1)).why_not


def test_a_module_inside_is_read_too():
    class Layer(nn.Module):
        def forward(self, x):
            return noted(x)

    assert "the global LOG" in Code(cell(Layer())).why_not
    assert Code(cell(nn.LayerNorm(3))).why_not is None


def test_a_module_that_is_not_registered_is_named():
    made, parent = cell(torch.tanh), nn.Linear(2, 2)
    object.__setattr__(made, "parent", parent)
    assert Code(made).why_not == "Base.parent is a Linear"


def test_every_cell_of_the_library_is_known():
    for name in sn.cells.names():
        assert Code(sn.cells.create(name, 2, 4, 1)).why_not is None, name


def test_what_a_name_stands_for_is_watched(monkeypatch):
    code = Code(cell(scaled))
    assert code.is_unchanged()
    monkeypatch.setattr(f"{__name__}.SCALE", 3.0)
    assert not code.is_unchanged()


def test_what_a_module_holds_is_watched(monkeypatch):
    settings = types.ModuleType("settings")
    settings.factor = 2.0
    code = Code(cell(lambda u: settings.factor * torch.tanh(u)))
    assert code.why_not is None and code.is_unchanged()
    for owner, name in ((settings, "factor"), (torch, "tanh")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, 3.0)
            assert not code.is_unchanged()
        assert code.is_unchanged()
    assert "settings.factor, which" in Code(cell(reads(settings))).why_not


def reads(settings):
    settings.factor = [1]
    return lambda u: len(settings.factor) * u


def test_a_method_and_the_code_of_a_function_are_watched(monkeypatch):
    code = Code(cell(scaled, Watched))
    assert code.is_unchanged()
    monkeypatch.setattr(Watched, "value", Base.value)
    assert not code.is_unchanged()
    with monkeypatch.context() as patch:
        patch.setattr(Watched, "last", lambda self, u: u, raising=False)
        assert not code.is_unchanged()
    code = Code(cell(scaled))
    monkeypatch.setattr(scaled, "__code__", (lambda x: x).__code__)
    assert not code.is_unchanged()


class Watched(Base):
    def value(self, z, h):
        return super().value(z, h)
