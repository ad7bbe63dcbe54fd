"""Every task's number of targets: by it, parts of a batch have together the loss of the batch."""

import sysconfig
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commands import code_folder, write_sst
from conftest import randomise
from own_data import source
from PIL import Image
from test_superpixels import arrays

import structnet as sn
from structnet.config.composing import compose
from structnet.plugins.scenes.files import FILE
from structnet.run.run import Run
from structnet.training.samples import load_samples

# Their loss is the sum of two means, over trees and over nodes.
PARSERS = ("parsing", "scene_parsing")
# Read from the network.
REMOTE = ("pyg",)
# Without data of their own; tests/test_fit.py has some.
GIVEN = ("given_classes", "given_numbers")
CODE = f"task.root={Path(sysconfig.get_path('stdlib'), 'email')}"
SEQUENCES = [
    "task=sequences", "topology=chain", "task.root=OWN_SEQUENCES", "task.id=visit",
    "task.order=minute",
]  # fmt: skip
# What composes a small run of every other task, by what is looked at.
CASES = {
    "arithmetic": ["task=arithmetic", "topology=chain", "task.train_size=80"],
    "automaton": [
        "task=automaton",
        "topology=chain",
        "task.train_size=80",
        "task.language=tomita3",
    ],
    "bidirectional_text": ["experiment=elmo", "task.root=TREES"],
    "callgraph": ["experiment=callgraph", CODE],
    "captions": ["experiment=captions_digits"],
    "cifar10": ["experiment=pixelrnn_cifar10"],
    "classification": ["experiment=polarity"],
    "copy": ["task=copy", "topology=chain", "net=seq2seq", "task.train_size=80"],
    "digits": ["experiment=pixelrnn_digits"],
    "digits class": ["experiment=digits_class"],
    "enas": ["experiment=enas"],
    "esol": ["experiment=esol"],
    "expressions": ["experiment=expressions", CODE],
    "forecast": ["task=forecast", "topology=chain", "task.root=SERIES", "task.horizon=3"],
    "graphs": ["task=graphs", "topology=ordered_graph", "task.root=OWN_GRAPHS"],
    "images": ["task=images", "task.root=FOLDER", "topology=diagonal", "net=pixelrnn"],
    "listops": ["experiment=listops"],
    "logic": ["experiment=logic", "task.most_operators=2"],
    "mnist": ["experiment=pixelrnn_mnist"],
    "mutag": ["experiment=mutag"],
    "nci1": ["experiment=nci1"],
    "own_trees": ["task=own_trees", "topology.arity=null", "task.root=OWN_TREES"],
    "reverse": ["task=reverse", "topology=chain", "net=seq2seq", "task.train_size=80"],
    "river": ["experiment=river", "task.basins=8"],
    "segmentation": ["experiment=camvid", "task.root=FOLDER"],
    "sequences": [*SEQUENCES, "task.loss=balanced"],
    "sequences numbers": [*SEQUENCES, "task.target=age", "task.loss=poisson"],
    "sequences quantile": [
        *SEQUENCES,
        "task.target=age",
        "task.loss=quantile",
        "task.quantile=0.9",
    ],
    "sick_entailment": ["experiment=sick_entailment"],
    "sick_relatedness": ["experiment=sick_relatedness"],
    "sort": ["task=sort", "topology=chain", "net=seq2seq", "task.train_size=80"],
    "sst": ["experiment=treelstm_sst", "task.root=TREES"],
    "sst root": ["experiment=treelstm_sst", "task.root=TREES", "readout=root"],
    "superpixels": ["experiment=superpixels", "task.root=FOLDER", "task.superpixels=12"],
    "swapped": ["task=swapped", f"task.root={code_folder()}"],
    "tagging": ["experiment=pos_ewt"],
    "tagging crf": ["experiment=ner_wnut17"],
    "text": ["task=text", "topology=chain", "task.root=TREES", "task.windows=sliding"],
    "translation": ["experiment=translation_multi30k", "task.limit=500"],
    "trees": ["task=trees", "topology=tree", "task.root=TREES"],
    "words": ["task=words", "topology=chain", "task.root=TREES", "task.windows=sliding"],
    "xml": ["task=xml", "topology=chain", "task.train_size=80"],
}


def made(folder):
    """Where the data lies that is made for the tests, by its name in `CASES`."""
    random = np.random.default_rng(0)
    np.savez(folder / FILE, **arrays())
    for number in range(30):
        pixels = random.integers(0, 256, (4, 3 + number % 3, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    own = {kind: source(kind, folder)[0] for kind in ("sequences", "trees", "graphs")}
    days = pd.date_range("2024-01-01", periods=60)
    series = pd.DataFrame({"day": days, "sales": random.poisson(9, 60)})
    series.to_csv(folder / "series.csv", index=False)
    return {
        "TREES": write_sst(folder / "trees"),
        "FOLDER": folder,
        **{f"OWN_{kind.upper()}": path for kind, path in own.items()},
        "SERIES": folder / "series.csv",
    }


def test_every_task_is_looked_at():
    looked_at = {name.split()[0] for name in CASES}
    assert looked_at | {*PARSERS, *REMOTE, *GIVEN} == set(sn.tasks.names())


def composed(words):
    """A run without directory, and its training samples."""
    config = compose([*words, "trainer.accelerator=cpu"])
    config.pop("compare", None)
    if "executor" in config["net"]:
        config["net"]["executor"] = "auto"
    run = Run.compose(config, Path())
    return run, load_samples(run)["train"]


def double(tensor):
    return tensor.double() if tensor.is_floating_point() else tensor


@pytest.mark.parametrize("name", CASES)
# That a part of a data set is there, or that it has faults.
@pytest.mark.filterwarnings("ignore::structnet.DataWarning")
def test_parts_of_a_batch_have_its_loss_by_their_numbers_of_targets(name, tmp_path):
    words = CASES[name]
    for called, path in made(tmp_path).items():
        words = [word.replace(called, str(path)) for word in words]
    try:
        run, samples = composed(words)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    task, topology = run.task, run.topology
    net = randomise(run.build_net().double(), scale=0.3).eval()

    def found(first, stop):
        chosen = [
            samples[task.group * unit + i] for unit in range(first, stop) for i in range(task.group)
        ]
        batch = sn.collate(chosen, topology).map(double)
        output = net(batch)
        return task.loss(output, batch), task.num_targets(output, batch)

    with torch.no_grad():
        stop = min(9, len(samples) // task.group)
        whole, targets = found(0, stop)
        parts = [found(0, 1), found(1, 3), found(3, stop)]
    torch.testing.assert_close(sum(count for _, count in parts), targets)
    weighted = sum(loss * count for loss, count in parts) / targets
    torch.testing.assert_close(weighted, whole, rtol=1e-12, atol=1e-12)
    # Parts whose losses are equal would have the mean of any weights.
    assert len({round(float(loss), 9) for loss, _ in parts}) > 1
