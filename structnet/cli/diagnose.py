"""diagnose: gradients, saturated gates and spectral radii of a run's net."""

import json
from pathlib import Path

from structnet.system.words import take_flag, take_options


def run(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    options = take_options(words, required=("run",))
    from structnet.config.composing import saved
    from structnet.diagnosis.gradients import diagnose, largest_batch
    from structnet.diagnosis.picture import draw_diagnosis
    from structnet.diagnosis.report import print_diagnosis, save_diagnosis
    from structnet.run.run import Run
    from structnet.training.samples import load_samples

    run = Run.compose(saved(options["run"]), Path(options["run"]))
    net = run.load_net()
    samples = load_samples(run)["validation"]
    batch_nodes = run.config["trainer"]["batch_nodes"]
    layers = diagnose(net, largest_batch(samples, run.topology, batch_nodes, run.task.group))
    found = save_diagnosis(run.directory, layers)
    draw_diagnosis(run.directory, layers, found["history"])
    if as_json:
        print(json.dumps(found["layers"], indent=1))
        return 0
    print_diagnosis(layers)
    if cut := run.config["net"].get("truncate"):
        print(f"measured without net.truncate={cut}, which cuts gradients in training")
    print(f"run: {run.directory} (diagnose.json, diagnose.png)")
    return 0
