from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.aggregate import Aggregate
from structnet.cell.base import Cell
from structnet.cell.chrono import chrono_
from structnet.cell.product import dense
from structnet.cell.slots import mean
from structnet.registry import cells


@cells.register("lstm")
class LSTM(Cell):
    """Long short-term memory with one forget gate per predecessor.

    Equations:
        i = sigmoid(W_i x + sum_k U_ik h_k + b_i)
        o = sigmoid(W_o x + sum_k U_ok h_k + b_o)
        u = tanh(W_u x + sum_k U_uk h_k + b_u)
        f_k = sigmoid(W_f x + sum_j U_fkj h_j + b_f)
        unordered predecessors: f_k = sigmoid(W_f x + U_f h_k + b_f)
        c = i * u + sum_k f_k * c_k
        h = o * tanh(c)
        peephole=true: i = sigmoid(W_i x + sum_k U_ik h_k + b_i + sum_k p_ik * c_k)
        peephole=true: f_k = sigmoid(W_f x + sum_j U_fkj h_j + b_f + p_fk * c_k)
        peephole=true: o = sigmoid(W_o x + sum_k U_ok h_k + b_o + p_o * c)
        coupled=true: i = 1 - mean_k f_k
        projection_size=2: h = V (o * tanh(c))
        layer_norm=true: i = sigmoid(norm(W_i x + sum_k U_ik h_k))
        layer_norm=true: o = sigmoid(norm(W_o x + sum_k U_ok h_k))
        layer_norm=true: u = tanh(norm(W_u x + sum_k U_uk h_k))
        layer_norm=true: f_k = sigmoid(norm(W_f x + sum_j U_fkj h_j))
        layer_norm=true: h = o * tanh(norm(c))
        diagonal=true: i = sigmoid(W_i x + sum_k d_ik * h_k + b_i)
        diagonal=true: o = sigmoid(W_o x + sum_k d_ok * h_k + b_o)
        diagonal=true: f_k = sigmoid(W_f x + d_fk * h_k + b_f)
        forget=0: f = sigmoid(W_f x + sum_k U_fk h_k + b_f)
        forget=0: c = i * u + f * c_0

    Slots are numbered from 0; every norm has a gain and a bias of its own. Shapes: x (I), states
    and gates (H), every W (H, I), every U (H, H), p and d (H), V (projection_size, H). On one slot
    this is the LSTM of Gers et al. (2000) and of torch.nn.LSTM; on ordered slots the N-ary
    Tree-LSTM, on unordered predecessors the child-sum Tree-LSTM of Tai et al. (2015), eq. 9-14 and
    2-8; on a grid the 2-D LSTM of Graves et al. (2007).

    The recurrent weights are `recurrent` (all gates), for unordered predecessors `recurrent_edge`
    (f), and with `diagonal` `diagonal_recurrent`.

    With edge features e, W e is added to what f_k is the sigmoid of. Peng et al. (2017),
    "Cross-sentence n-ary relation extraction with graph LSTMs", is this cell on topology
    ordered_graph with order=id, unvisited=nothing and direction=both, a text's graph as two DAGs,
    with the one-hot kind of an edge for its features; where they have a matrix U for every kind of
    edge, here the kind shifts the forget gate.

    Arguments:
        forget_bias: the initial biases of the forget gates (Jozefowicz et al. 2015).
        chrono: the longest dependency in steps, for initial biases b_f = log(U[1, chrono - 1]) of
            the forget gates and -b_f of the input gate (Tallec and Ollivier 2018, eq. 16).
        peephole: the gates see the memory (Gers and Schmidhuber 2000; on a grid Graves et al.
            2007).
        coupled: the input gate is 1 - mean_k f_k, over the predecessors that are present (Greff
            et al. 2015, CIFG).
        drop_gate: input, forget or output, a gate that is fixed to 1 (Jozefowicz et al. 2015,
            LSTM-i, -f and -o).
        projection_size: h = V (o * tanh(c)) is of this size (Sak et al. 2014, eq. 12).
        layer_norm: every gate is normalised, before peepholes are added, and c where tanh reads it
            (Ba et al. 2016, where instead the input's half of all gates is normalised as one, and
            the predecessors' likewise).
        diagonal: the recurrent matrices of i, o and f are diagonal, f_k sees h_k alone.
        forget: the ordered slot that memory is carried from, with one forget gate that sees all
            slots (PixelRNN: van den Oord et al. 2016, eq. 3).
        aggregate: how the h_k of unordered predecessors are combined for i, o and u: sum, mean,
            max, attention or gated.
    """

    states = ("h", "c")
    peephole_i: Tensor
    peephole_f: Tensor
    peephole_o: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        *,
        forget_bias: float = 1.0,
        chrono: int | None = None,
        peephole: bool = False,
        coupled: bool = False,
        drop_gate: Literal[None, "input", "forget", "output"] = None,
        projection_size: int | None = None,
        layer_norm: bool = False,
        diagonal: bool = False,
        forget: int | None = None,
        aggregate: Aggregate = "sum",
    ):
        _check_gates(coupled, drop_gate, chrono)
        _check_forget(forget, arity)
        if projection_size is not None and projection_size < 1:
            raise ValueError(f"option 'projection_size' is at least 1, got {projection_size}")
        # A gate is its initial.
        absent = ("i" if coupled else "", (drop_gate or "")[:1])
        gates = tuple(gate for gate in "iouf" if gate not in absent)
        self.edge_gates = ("f",) if "f" in gates and forget is None else ()
        self.node_gates = tuple(gate for gate in gates if gate not in self.edge_gates)
        self.diagonal = tuple(gate for gate in gates if gate != "u") if diagonal else ()
        self.layer_norm, self.output_size, self.aggregate = layer_norm, projection_size, aggregate
        self.coupled, self.forget, self.peephole = coupled, forget, peephole
        self.projected = projection_size is not None
        super().__init__(input_size, hidden_size, arity)
        self._add_options(arity if forget is None else 1, projection_size)
        self._start_gates(forget_bias, chrono)

    def _add_options(self, slots: int | None, projection_size: int | None) -> None:
        size = self.hidden_size
        if projection_size is not None:
            self.projection = nn.Parameter(nn.init.orthogonal_(torch.empty(size, projection_size)))
        if self.layer_norm:
            self.memory_gain = nn.Parameter(torch.ones(size))
            self.memory_bias = nn.Parameter(torch.zeros(size))
        if self.peephole:
            for gate in (gate for gate in self._gates if gate != "u"):
                shape = (size,) if gate == "o" else (slots or 1, size)
                self.register_parameter(f"peephole_{gate}", nn.Parameter(torch.zeros(shape)))

    def _start_gates(self, forget_bias: float, chrono: int | None) -> None:
        if "f" not in self._gates:
            return
        self.bias("f").fill_(forget_bias)
        if chrono is not None:
            chrono_(self.bias("f"), chrono)
            if "i" in self._gates:
                self.bias("i").copy_(-self.bias("f"))

    def forward(self, z: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        node, edge = self.gates(z, h)
        gates = dict(zip(self._gates, (*node, *edge), strict=True))
        if self.forget is not None:
            c = c[:, self.forget].unsqueeze(1)
            if "f" in gates:
                gates["f"] = gates["f"].unsqueeze(1)
        if self.peephole:
            self._peep(gates, c)
        c = self._remember(gates, c)
        if self.peephole and "o" in gates:
            gates["o"] = gates["o"] + self.peephole_o * c
        h = torch.tanh(self._normal_memory(c) if self.layer_norm else c)
        if "o" in gates:
            h = gates["o"].sigmoid() * h
        return dense(h, self.projection) if self.projected else h, c

    def _peep(self, gates: dict[str, Tensor], c: Tensor) -> None:
        if "i" in gates:
            gates["i"] = gates["i"] + (self.peephole_i * c).sum(1)
        if "f" in gates:
            gates["f"] = gates["f"] + self.peephole_f * c

    def _remember(self, gates: dict[str, Tensor], c: Tensor) -> Tensor:
        """The memory (n, H) of the memories (n, K, H) it is carried from."""
        new = gates["u"].tanh()
        if "f" not in gates:
            return (gates["i"].sigmoid() * new if "i" in gates else new) + c.sum(1)
        f = gates["f"].sigmoid()
        if self.coupled:
            new = (1 - mean(f)) * new
        elif "i" in gates:
            new = gates["i"].sigmoid() * new
        return new + (f * c).sum(1)

    def _normal_memory(self, c: Tensor) -> Tensor:
        return F.layer_norm(c, c.shape[1:], self.memory_gain, self.memory_bias)


def _check_gates(coupled: bool, drop_gate: str | None, chrono: int | None) -> None:
    if coupled and drop_gate in ("input", "forget"):
        raise ValueError(
            "option 'coupled' computes the input gate from the forget gate, so that 'drop_gate' is "
            f"None or 'output' beside it, got {drop_gate!r}"
        )
    if chrono is not None and drop_gate == "forget":
        raise ValueError(
            "option 'chrono' starts the forget gate, so that 'drop_gate' is None, 'input' or "
            f"'output' beside it, got {drop_gate!r} and {chrono}"
        )


def _check_forget(forget: int | None, arity: int | None) -> None:
    if forget is None:
        return
    if arity is None:
        raise ValueError(
            f"option 'forget' is None where predecessors have no order, got slot {forget}"
        )
    if not 0 <= forget < arity:
        raise ValueError(f"option 'forget' is None or a slot from 0 to {arity - 1}, got {forget}")
