"""A cell of one's own
===================

Random leaky integrators (Jaeger 2001, eq. 1) smooth a series; in the default task they are::

    structnet train --plugin examples/leaky_cell.py cell=leaky cell.leak=0.3
"""

import structnet as sn


@sn.cells.register("leaky")
class Leaky(sn.Cell):
    """h = (1 - a) tanh(W x + sum_k U_k h_k) + a mean_k h_k, where a is `leak`."""

    node_gates = ("u",)

    def __init__(self, input_size, hidden_size, arity, *, leak: float = 0.5):
        super().__init__(input_size, hidden_size, arity)
        self.leak = leak

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return (1 - self.leak) * u.tanh() + self.leak * self.mean(h)


if __name__ == "__main__":
    import torch
    from matplotlib import pyplot as plt

    truth = (torch.arange(600)[:, None] / 15).sin()
    x = truth + torch.randn(600, 1, generator=torch.manual_seed(0))
    h = sn.RNN("leaky", 1, 50, leak=0.8)(x)[0].detach()
    found = h @ torch.linalg.lstsq(h[:400], truth[:400]).solution
    print("error", (found - truth)[400:].std().item(), "before", (x - truth)[400:].std().item())
    plt.figure(figsize=(4.5, 3.2), layout="constrained")
    plt.plot(torch.cat([x, truth, found], 1)[400:], label=["series", "truth", "smoothed"])
    plt.gca().set(title="New steps of a noisy series", xlabel="step", ylabel="value")
    plt.legend()
    plt.show()
