"""Compiled graphs of torch operations that write into given tensors, for any number of nodes.

Inductor fuses the operations on a node into one loop; the parts of a concatenated result are
written into its columns directly, so that nothing is copied.
"""

from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from structnet.execute.compiled.inductor import compile_function
from structnet.execute.compiled.making import making

aten = torch.ops.aten


class Target(NamedTuple):
    """Result `index` in pieces side by side, and whether it is added to what is there."""

    index: int
    pieces: list[fx.Node]
    widths: list[int]
    adds: bool


class Kernel:
    """Writes the results of a function into given contiguous tensors.

    `function` takes `inputs`, tensors without data of `fake`, and gives a tuple of tensors, with
    None where there is nothing to write. Results in `adds` are added to what their tensor holds.
    """

    def __init__(
        self,
        function: Callable,
        inputs: Sequence[Tensor],
        fake: FakeTensorMode,
        adds: Container[int] = (),
    ):
        self.inputs, self.fake, self.kind = inputs, fake, inputs[0].device.type
        self.graph = self._trace(function, inputs)
        self.graph.graph.eliminate_dead_code()
        (results,) = self.graph.graph.output_node().args
        self.results: Any = results
        self.targets = [
            _target(index, node, index in adds)
            for index, node in enumerate(self.results)
            if node is not None
        ]
        self._made: tuple[list[int], Callable] | None = None

    def _trace(self, function: Callable, given: Sequence[Tensor]) -> fx.GraphModule:
        # A cell's graph has autocast's casts already.
        with self.fake, torch.autocast(self.kind, enabled=False):
            return make_fx(function)(*given)

    def needs(self, index: int) -> bool:
        """Whether the results depend on an input."""
        return bool(self.graph.graph.find_nodes(op="placeholder")[index].users)

    @property
    def writes(self) -> list[int]:
        """The results that there are."""
        return [target.index for target in self.targets]

    def leave_out(self, index: int) -> None:
        """Don't write this result."""
        self.targets = [target for target in self.targets if target.index != index]

    def __call__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        used, run = self._made or self.make()
        given = [inputs[index] for index in used]
        for index, _, widths, _ in self.targets:
            output = outputs[index]
            given += output.split(widths, 1) if len(widths) > 1 else (output,)
        run(*given)

    def make(self) -> tuple[list[int], Callable]:
        """The inputs that are used, and what takes them and the outputs' pieces.

        Made where it is first needed: what is never trained has no derivative.
        """
        with making(), torch.autocast(self.kind, enabled=False):
            self._made = self._made or self._compile()
            return self._made

    def _compile(self) -> tuple[list[int], Callable]:
        graph = self.graph.graph
        graph.output_node().args = (tuple(piece for one in self.targets for piece in one.pieces),)
        graph.eliminate_dead_code()
        self.graph.recompile()
        holders = graph.find_nodes(op="placeholder")
        used = [index for index, holder in enumerate(holders) if holder.users]
        adds = [target.adds for target in self.targets for _ in target.pieces]

        def write(*given: Tensor) -> tuple[()]:
            every = dict(zip(used, given, strict=False))
            values = self.graph(*map(every.get, range(len(holders))))
            for output, value, add in zip(given[len(used) :], values, adds, strict=True):
                output.copy_(output + value if add else value)
            return ()

        given = [*(self.inputs[index] for index in used), *self._outputs()]
        return used, compile_function(write, given, self.fake)

    def _outputs(self) -> list[Tensor]:
        """Tensors without data, laid out as the pieces in their place."""
        outputs = []
        for target in self.targets:
            for piece in target.pieces:
                value = piece.meta["val"]
                with self.fake:
                    like = torch.empty(value.shape, dtype=value.dtype, device=value.device)
                    if len(target.pieces) > 1:
                        like = like.as_strided(value.shape, (sum(target.widths), 1))
                outputs.append(like)
        return outputs


def _target(index: int, node: fx.Node, adds: bool) -> Target:
    pieces = _pieces(node)
    widths = [piece.meta["val"].shape[-1] for piece in pieces] if len(pieces) > 1 else []
    return Target(index, pieces, widths, adds)


def _pieces(node: fx.Node) -> list[fx.Node]:
    """The parts that columns are concatenated of."""
    if node.target is not aten.cat.default or node.meta["val"].dim() != 2:
        return [node]
    args: Any = node.args
    parts, dim = args if len(args) > 1 else (*args, 0)
    return [piece for part in parts for piece in _pieces(part)] if dim in (1, -1) else [node]
