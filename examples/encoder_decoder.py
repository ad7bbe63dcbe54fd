"""An encoder hands its final states to a decoder, which writes the sequence backwards."""

import torch
from torch import nn

import structnet as sn

SYMBOLS, LENGTH, START = 5, 4, 5


class Reverser(nn.Module):
    def __init__(self, cell: str = "lstm", size: int = 32):
        super().__init__()
        self.embedding, self.scores = nn.Embedding(SYMBOLS + 1, size), nn.Linear(size, SYMBOLS)
        self.encoder, self.decoder = (sn.RNN(cell, size, size, batch_first=True) for _ in range(2))

    def forward(self, source, target):
        _, states = self.encoder(self.embedding(source))
        read = nn.functional.pad(target[:, :-1], (1, 0), value=START)
        return self.scores(self.decoder(self.embedding(read), states)[0])

    @torch.no_grad()
    def write(self, source):
        stepper, words = self.decoder.stepper(len(source)), [torch.full((len(source),), START)]
        stepper.load_state(self.encoder(self.embedding(source))[1])
        for _ in range(source.shape[1]):
            words.append(self.scores(stepper.push(self.embedding(words[-1]))).argmax(1))
        return torch.stack(words[1:], 1)


torch.manual_seed(0)
net = Reverser()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for _ in range(300):
    source = torch.randint(SYMBOLS, (64, LENGTH))
    scores, target = net(source, source.flip(1)), source.flip(1)
    optimizer.zero_grad()
    nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten()).backward()
    optimizer.step()
print(f"whole sequences right: {(net.write(source) == target).all(1).float().mean().item():.2f}")
