"""The executor `torch`: its own recurrent layers, where they compute what a cell does."""

from typing import Any

from torch import Tensor, nn

from structnet.cell.call import States
from structnet.cell.frame import autocast_type
from structnet.cell.hooks import KINDS, has_global_hooks, replaced_methods
from structnet.cell.input import Input
from structnet.cell.library.elman import Elman
from structnet.cell.library.gru import GRU
from structnet.cell.library.lstm import LSTM
from structnet.data.sequences import Sequences
from structnet.execute.chains import are_abreast, chains_of
from structnet.execute.executor import Executor, Pass, Spec, find
from structnet.execute.torch_layer.counterpart import Counterpart, find_counterpart
from structnet.execute.torch_layer.kernel import TorchKernel

# The cells that torch has, and what their attributes are where the equations are torch's.
EQUATIONS: dict[type, dict[str, Any]] = {
    Elman: {},
    GRU: {"reset": "after"},
    LSTM: {
        "coupled": False,
        "diagonal": (),
        "forget": None,
        "layer_norm": False,
        "peephole": False,
        # oneDNN, which makes the kernels fast on a CPU, has no projections.
        "projected": False,
        "node_gates": ("i", "o", "u"),
        "edge_gates": ("f",),
    },
}
# The most steps of a padded batch, as a multiple of the actual steps, for which torch's kernels are
# faster than a sweep level by level: per step they take 0.4 to 0.7 of its time (LSTM, GRU and Elman
# networks of 128 units, batches of 4 to 32).
MOST_PADDING = 1.5


class Torch(Executor):
    """Torch's own layer (oneDNN, cuDNN) for LSTM, GRU and Elman networks on chains."""

    takes = frozenset(["states", "finals", "weight_drop"])

    def refuses(self, spec: Spec) -> str | None:
        why = _not_torchs(spec) or _not_sequences(spec)
        return why and f"executor 'torch' {why}; take executor='auto'"

    def is_slow(self, spec: Spec) -> bool:
        """On a CPU, sequences that differ much in length are faster level by level."""
        plan, x = spec.plan, spec.x
        if plan is None or x is None or x.is_cuda:
            return False
        if not plan.num_nodes:
            return True
        padded = (len(plan.levels) - 1) * plan.levels[1]
        most = MOST_PADDING if _is_bounded(spec.cell) else 1
        return padded > most * plan.num_nodes

    def run(self, p: Pass) -> tuple[Tensor, States]:
        if not p.plan.num_nodes:
            return find("batched").run(p)
        h, _ = self._run(p)
        # The memories of an LSTM stay inside.
        return h, (h,) if len(p.cell.state_sizes) == 1 else ()

    def final_states(self, p: Pass) -> tuple[Tensor, States] | None:
        if not p.plan.num_nodes or len(p.cell.state_sizes) == 1:
            return None
        h, finals = self._run(p)
        # The last nodes of chains of equal length are side by side at the end.
        width = finals[0].shape[1]
        at = p.plan.rank.index_select(0, p.plan.sinks) - (p.plan.num_nodes - width)
        return h, tuple(state[0].index_select(0, at) for state in finals)

    def _run(self, p: Pass) -> tuple[Tensor, States]:
        """The output by rank, and the kernel's final states, valid for chains of equal length."""
        cell, counterpart = p.cell, _counterpart(p.cell)
        weights = [counterpart.export(dict(cell.named_parameters()))]
        kernel = TorchKernel(counterpart, weights, 1, 0.0, cell.training)
        chains = chains_of(p.plan)
        given = p.initial or [p.x.new_zeros(p.plan.num_initial, k) for k in cell.state_sizes]
        initial = tuple(chains.before(state.to(p.x.dtype))[None] for state in given)
        if chains.are_abreast:
            x = p.x.unflatten(0, (-1, chains.width))
            h, finals = kernel.run(x, initial, batch_first=False)
            h = h.flatten(0, 1)
        elif p.x.is_cuda or not _is_bounded(cell):
            sequences = Sequences(chains.by_time(p.x), chains.lengths, lambda h: h)
            h, finals = kernel.run_packed(sequences, initial)
            h = chains.by_rank(h)
        else:
            place, size = chains.padding()
            x = p.x.new_zeros(size[0] * size[1], p.x.shape[1])
            x = x.index_copy(0, place, chains.by_time(p.x)).unflatten(0, size)
            h, finals = kernel.run(x, initial, batch_first=True)
            h = chains.by_rank(h.flatten(0, 1).index_select(0, place))
        return h, finals


def _not_torchs(spec: Spec) -> str | None:
    """Why a cell computes something else than torch's layers."""
    cell: Any = spec.cell
    name = type(cell).__name__
    if type(cell) not in EQUATIONS:
        return f"runs LSTM, GRU and Elman networks, not {name}"
    if cell.arity != 1:
        several = "any number of" if cell.arity is None else cell.arity
        return f"runs chains, and nodes have {several} predecessors here"
    for option, value in EQUATIONS[type(cell)].items():
        if getattr(cell, option) != value:
            return f"runs {name} with {option}={value!r}, got {getattr(cell, option)!r}"
    if "states" in spec.needs and len(cell.state_sizes) > 1:
        return f"gives the final memory of {name} alone, not that of every node"
    names = {name for name, _ in cell.named_parameters()}
    if names != _counterpart(cell).own_names:
        return f"reads parameters, and some weights of {name} are computed from others"
    if type(cell.input) not in (Input, nn.Linear):
        return f"does not call the cell, and the input layer is a {type(cell.input).__name__}"
    if replaced := replaced_methods(cell):
        return f"does not call the cell, and {name} has another {replaced[0]!r}"
    if has_global_hooks() or any(vars(module)[kind] for module in cell.modules() for kind in KINDS):
        return f"does not call the cell, and {name} has hooks"
    return None


def _not_sequences(spec: Spec) -> str | None:
    """Why a plan and its input are not for torch's layers."""
    if spec.plan is None or spec.x is None:
        return None
    if spec.plan.chains is None:
        return "runs chains, and nodes of this plan have several slots or feed several nodes"
    several = len(spec.cell.state_sizes) > 1 and spec.plan.num_nodes > 0
    if "finals" in spec.needs and several and not are_abreast(spec.plan):
        return "gives the final memories of chains of one length"
    if autocast_type(spec.x.device) is not None:
        return "has states of lower precision under autocast"
    if spec.x.dtype != (dtype := next(spec.cell.parameters()).dtype):
        return f"reads an input of the weights' dtype, {dtype}, got {spec.x.dtype}"
    return None


def _is_bounded(cell: Any) -> bool:
    """Whether states stay finite behind the end of a sequence."""
    return not isinstance(cell, Elman) or cell.nonlinearity == "tanh"


def _counterpart(cell: Any) -> Counterpart:
    if isinstance(cell, LSTM):
        found = find_counterpart("lstm", {})
    elif isinstance(cell, GRU):
        found = find_counterpart("gru", {"reset": "after"})
    else:
        found = find_counterpart("elman", {"nonlinearity": cell.nonlinearity})
    assert found is not None
    return found
