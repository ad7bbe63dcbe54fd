"""A finite automaton read back out of a net
=========================================

A GRU learns from strings of up to 12 zeros and ones that there are no three zeros in a row (Tomita
1982). Asked about strings until an automaton agrees with it (Angluin 1987; Weiss et al. 2018), it
gives away the language's own. On a trained run `structnet automaton run=DIR` does the same.
"""

import tempfile

import matplotlib.pyplot as plt

import structnet as sn
from structnet.plugins.sequence.automata.picture import picture
from structnet.plugins.sequence.automata.reading import read_automaton

with tempfile.TemporaryDirectory() as folder:
    run = sn.fit(
        "automaton",
        {"hidden_size": 32},
        language="tomita4",
        longest=12,
        times=4,
        train_size=2000,
        topology="chain",
        cell="gru",
        trainer={"max_epochs": 5, "learning_rate": 0.01, "num_workers": 0},
        run=folder,
    )
reading = read_automaton(
    run.task, run.net, run.topology, method="queries", most_states=20, strings=300, seed=0
)
print(f"asked about {reading.queries} strings: {len(reading.found)} states")
for lengths, _, net, found, _ in reading.agreements:
    print(f"right on strings of {lengths} symbols: net {net:.3f}, automaton {found:.3f}")
automata = {"the language": run.task.automaton, "read out of the net": reading.found}
picture(automata, "No three zeros in a row")
plt.show()
