"""Modules as ONNX files, by torch's exporter."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

# What `torch.onnx` and the runtime of the exported files need.
NEEDED = ("onnx", "onnxscript", "onnxruntime")
EXTRA = "pip install -c constraints.txt -e '.[export]'"


class NotExportable(ValueError):
    """A net, or a part of one, that has no form as ONNX."""


def check_onnx() -> None:
    """ModuleNotFoundError names what export needs and is missing, and how to get it."""
    for name in NEEDED:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"export needs {name}, which is not installed: {EXTRA}")


@dataclass(frozen=True)
class Part:
    """A module that becomes a file.

    Arguments:
        name: of the file, without .onnx.
        module: called with tensors in the order of `inputs`; returns a tensor or a tuple of them.
        inputs: examples of its inputs, by the names that they get.
        what: the module's name in messages.
        free: the dimensions of an input whose size is free, where it is not the first one alone.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, Tensor]
    what: str
    free: Mapping[str, Sequence[int]] = field(default_factory=dict)


def to_onnx(parts: Sequence[Part]) -> dict[str, bytes]:
    """Every part as an ONNX file, by its name with .onnx.

    They are exported together and cut apart, as every call of the exporter takes seconds.
    NotExportable names the part with an operation that ONNX has not, with torch's reason.
    """
    from onnx.utils import Extractor

    try:
        whole = _exported(parts)
    except Exception as error:
        _refuse(parts)
        raise NotExportable(f"the net can't be exported: {_reason(error)}") from error
    if len(parts) == 1:
        _rename(whole.graph, {f"0/{name}": name for name in parts[0].inputs})
        return {f"{parts[0].name}.onnx": whole.SerializeToString()}
    names, cutter = iter([one.name for one in whole.graph.output]), Extractor(whole)
    there = {one.name for one in whole.graph.input}
    found = {}
    for place, (part, count) in enumerate(zip(parts, _counts(parts), strict=True)):
        given = [name for one in part.inputs if (name := f"{place}/{one}") in there]
        cut = cutter.extract_model(given, [next(names) for _ in range(count)])
        _rename(cut.graph, {name: name.partition("/")[2] for name in given})
        found[f"{part.name}.onnx"] = cut.SerializeToString()
    return found


def _exported(parts: Sequence[Part]) -> Any:
    """All parts side by side as one model of ONNX, with inputs PLACE/NAME."""
    given = tuple(tuple(one.clone() for one in part.inputs.values()) for part in parts)
    shapes = tuple(
        tuple(
            dict.fromkeys(part.free.get(name, (0,)), torch.export.Dim.DYNAMIC)
            for name in part.inputs
        )
        for part in parts
    )
    with quiet(), torch.no_grad():
        program: Any = torch.onnx.export(
            _Together([part.module for part in parts]),
            (given,),
            dynamo=True,
            dynamic_shapes=(shapes,),
            input_names=[
                f"{place}/{name}" for place, one in enumerate(parts) for name in one.inputs
            ],
            verbose=False,
            external_data=False,
        )
    return program.model_proto


class _Together(nn.Module):
    """Modules with inputs of their own, and all their outputs, none of which is an input."""

    def __init__(self, modules: Sequence[nn.Module]):
        super().__init__()
        self.parts = nn.ModuleList(modules)
        # Not eval(), which an exported program in a module refuses.
        self.training = False

    def forward(self, given: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
        outputs = [_outputs(part, one) for part, one in zip(self.parts, given, strict=True)]
        return tuple(one.clone() for some in outputs for one in some)


def _outputs(module: nn.Module, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    out = module(*given)
    return out if isinstance(out, tuple) else (out,)


def _counts(parts: Sequence[Part]) -> list[int]:
    """The number of outputs of every part."""
    with torch.no_grad():
        return [len(_outputs(part.module, tuple(part.inputs.values()))) for part in parts]


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give inputs other names, in a graph and in those inside of its nodes.

    What the exporter notes of nodes is removed: the files that they came from, by their paths.
    """
    for one in graph.input:
        one.name = names.get(one.name, one.name)
    for node in graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
        node.input[:] = [names.get(name, name) for name in node.input]
        for attribute in node.attribute:
            _rename(attribute.g, names)


def _refuse(parts: Sequence[Part]) -> None:
    """NotExportable for the first part that can't be exported by itself."""
    for part in parts:
        try:
            _exported([part])
        except Exception as error:
            raise NotExportable(f"{part.what} can't be exported: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The innermost cause in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().split("\n")
    return f"{type(error).__name__}: {lines[0]}"


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's notes, on parts of torch that are not installed or outdated."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
