"""A head and a readout of your own, and a net that is fed one step at a time.

structnet train --plugin examples/mixture_head.py task=text topology=chain head=mixture
"""

import torch

import structnet as sn


@sn.heads.register("mixture")
class Mixture(sn.Head):
    """A mixture of softmaxes of features of h, with weights that depend on h (Yang et al. 2018)."""

    def __init__(self, size: int, sizes: sn.Sizes, *, parts: int = 3):
        super().__init__(size, sizes)
        self.share = torch.nn.Linear(size, parts)
        self.features = torch.nn.Linear(size, parts * size)
        self.scores = torch.nn.Linear(size, sizes.num_outputs)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        features = self.features(h).tanh().unflatten(1, (-1, h.shape[1]))
        shares = self.share(h).log_softmax(1).unsqueeze(2)
        return (shares + self.scores(features).log_softmax(2)).logsumexp(1)


@sn.readouts.register("first")
class First(sn.Readout):
    """The state of every sample's first node."""

    def forward(self, h: torch.Tensor, batch: sn.Batch) -> torch.Tensor:
        return h[batch.ptr[:-1]]


if __name__ == "__main__":
    letters = sn.Vocabulary({"a": 3, "b": 2, "c": 1})
    net = sn.Net(sn.Sizes(letters, None, len(letters)), "chain", "gru", "every", "mixture")
    stepper = net.stepper(batch=2)
    for step in ("ab", "ca"):
        print(stepper.push([letters[letter] for letter in step]).exp())
