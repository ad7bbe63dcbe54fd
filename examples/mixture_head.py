"""A head of one's own
===================

A mixture of softmaxes (Yang et al. 2018), which learns the next letter of a cycle of six::

    structnet train --plugin examples/mixture_head.py task=text topology=chain head=mixture
"""

import tempfile

import torch

import structnet as sn


@sn.heads.register("mixture")
class Mixture(sn.Head):
    """Softmaxes of features of h, weighted by what depends on h."""

    def __init__(self, size: int, sizes: sn.Sizes, *, parts: int = 3):
        super().__init__(size, sizes)
        self.share = torch.nn.Linear(size, parts)
        self.features = torch.nn.Linear(size, parts * size)
        self.scores = torch.nn.Linear(size, sizes.num_outputs)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        features = self.features(h).tanh().unflatten(1, (-1, h.shape[1]))
        shares = self.share(h).log_softmax(1).unsqueeze(2)
        return (shares + self.scores(features).log_softmax(2)).logsumexp(1)


if __name__ == "__main__":
    text = "aabbcc" * 10
    rows = [(20, list(text[at : at + 20]), list(text[at + 1 : at + 21])) for at in range(30)]
    trainer = {"max_epochs": 8, "num_workers": 0, "learning_rate": 0.02}
    with tempfile.TemporaryDirectory() as folder:
        run = sn.fit(rows, {"hidden_size": 16}, head="mixture", trainer=trainer, run=folder)
    print(run.metrics["test"], run.metrics["baseline"])
