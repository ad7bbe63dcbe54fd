"""Versions of torch that lack private parts which executors use."""

import importlib
import re
import sys
import warnings
from weakref import WeakKeyDictionary

import pytest
import torch
from conftest import assert_same

import structnet as sn
from structnet.execute import executor, transform
from structnet.execute.compiled import inductor, kernel, known, linking, recording, trace
from structnet.execute.compiled.executor import Compiled


def other_make_fx(function, decompositions=None):
    raise AssertionError("called as before")


def without_inductor(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._inductor.exc", None)
    return "torch._inductor.exc"


def without_fake_tensors(monkeypatch):
    package = "structnet.execute.compiled."
    for module in [one for one in sys.modules if one.startswith(package)]:
        if module != f"{package}executor":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch._subclasses.fake_tensor", None)
    return "torch._subclasses.fake_tensor"


def with_other_arguments(monkeypatch):
    monkeypatch.setattr(trace, "make_fx", other_make_fx)
    return "unexpected keyword argument 'decomposition_table'"


def with_another_compiler(monkeypatch):
    def compile_function(function, inputs, fake):
        raise AttributeError("module 'torch._inductor.config' has no attribute 'patch'")

    monkeypatch.setattr(kernel, "compile_function", compile_function)
    return "'torch._inductor.config' has no attribute 'patch'"


def with_cpp_that_is_not_compiled(monkeypatch):
    def refuse(text):
        raise recording.Unknown("an unknown option")

    def fail(function, *given):
        raise RuntimeError("C++ compile error")

    monkeypatch.setattr(linking, "_load", refuse)
    monkeypatch.setattr(inductor.Function, "__call__", fail)
    return "C++ compile error"


VERSION = re.escape(torch.__version__)
CHANGES = [
    without_inductor, without_fake_tensors, with_other_arguments, with_another_compiler,
    with_cpp_that_is_not_compiled,
]  # fmt: skip


@pytest.fixture
def anew(monkeypatch):
    """An executor that has not been asked for yet, and no programs."""
    monkeypatch.setitem(executor._made, "compiled", Compiled())
    monkeypatch.setattr(known, "_programs", {})
    monkeypatch.setattr(known, "_known", WeakKeyDictionary())
    executor._made["compiled"].name = "compiled"


def numbers(layer, executor):
    x = torch.linspace(-1, 1, 15, dtype=torch.float64).view(5, 3).requires_grad_()
    h = layer(x, layer.topology.plan([5]), executor=executor)
    h.square().sum().backward()
    found = [h, x.grad, *(one.grad for one in layer.parameters())]
    layer.zero_grad()
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_batched_runs_where_torch_has_changed_with_one_warning(change, monkeypatch, anew):
    layer = sn.Recurrence("chain", "gru", 3, 4, dtype=torch.float64)
    expected = numbers(layer, "batched")
    name = change(monkeypatch)
    with pytest.warns(UserWarning, match=f"torch {VERSION}, .*'batched' runs") as found:
        assert_same(numbers(layer, "compiled"), expected)
    assert len(found) == 1
    assert name in str(found[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(numbers(layer, "compiled"), expected)


def test_a_cell_that_is_no_fixed_graph_is_no_fault_of_torch(anew):
    class Random(sn.Cell):
        node_gates = ("u",)

        def forward(self, z, h):
            (u,), () = self.gates(z, h)
            return u.tanh() + torch.randn_like(u)

    layer = sn.Recurrence("chain", Random, 3, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="it draws random numbers"):
        numbers(layer, "compiled")
    assert not executor.find("compiled").is_replaced


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch._functorch.pyfunctorch", "retrieve_all_functorch_interpreters"),
        ("torch._C._functorch", "is_legacy_batchedtensor"),
        ("torch._C._autograd", "_get_current_graph_task_keep_graph"),
    ],
)
def test_what_tells_of_transformations_may_be_missing(module, name, monkeypatch):
    layer = sn.Recurrence("chain", "mgu", 3, 4, dtype=torch.float64)
    expected = numbers(layer, "batched")
    with monkeypatch.context() as patch:
        patch.delattr(f"{module}.{name}")
        with pytest.warns(UserWarning, match=f"torch {VERSION} has no {module}.{name}"):
            importlib.reload(transform)
        assert_same(numbers(layer, "batched"), expected)
    importlib.reload(transform)
