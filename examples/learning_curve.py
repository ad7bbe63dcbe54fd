"""How many examples does it take?
===============================

A GRU reads scikit-learn's digits row by row, each at a random height in a taller picture, beside
logistic regression on all pixels: medians of four draws, and their ranges as bars.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import structnet as sn

torch.manual_seed(0)
pixels, y = map(torch.tensor, load_digits(return_X_y=True))
x = torch.nn.functional.pad(pixels.float().view(-1, 8, 8) / 16, (0, 0, 0, 6))
x = torch.stack([digit.roll(int(torch.randint(7, ())), dims=0) for digit in x])
errors, sizes = {"gru": [], "logistic regression": []}, [50, 200, 800]
for size in sizes * 4:
    train, test = torch.randperm(len(y))[: size + 500].split([size, 500])
    rnn, head = sn.RNN("gru", 8, 32, batch_first=True), torch.nn.Linear(32, 10)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=0.02)
    for batch in train[torch.randint(size, (100, 32))]:
        loss = torch.nn.functional.cross_entropy(head(rnn(x[batch])[0][:, -1]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = head(rnn(x[test])[0][:, -1]).argmax(1)
    fitted = LogisticRegression().fit(x[train].flatten(1), y[train])
    errors["gru"].append((found != y[test]).float().mean().item())
    errors["logistic regression"].append(1 - fitted.score(x[test].flatten(1), y[test]))
for name, wrong in errors.items():
    percent = 100 * torch.tensor(wrong).view(4, -1)
    low, median, high = percent.quantile(torch.tensor([0, 0.5, 1]), dim=0)
    print(f"{name}: {median[-1]:.0f} % of unseen digits wrong after {sizes[-1]}")
    plt.errorbar(sizes, median, (median - low, high - median), capsize=4, label=name)
plt.gca().set(title="Digits at any height", xlabel="training digits", ylabel="wrong, %")
plt.legend()
plt.show()
