"""structnet train --plugin examples/leaky_cell.py cell=leaky cell.leak=0.3"""

import torch

import structnet as sn


@sn.cells.register("leaky")
class Leaky(sn.Cell):
    """Leaky integrator (Jaeger 2001, eq. 1): h = (1 - a) tanh(W x + sum_k U_k h_k) + a mean h_k."""

    node_gates = ("u",)

    def __init__(self, input_size, hidden_size, arity, *, leak: float = 0.5):
        super().__init__(input_size, hidden_size, arity)
        self.leak = leak

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return (1 - self.leak) * u.tanh() + self.leak * self.mean(h)


if __name__ == "__main__":
    print(sn.Recurrence("chain", "leaky", 1, 3)(torch.ones(2, 1), [sn.schedule([[-1], [0]])]))
