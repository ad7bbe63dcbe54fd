"""The folder of an exported run: ONNX files, the plan's format, a test vector and the runtime."""

import io
import json
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from structnet.export.further import add_forms, verify_forms
from structnet.export.model import Exported, export
from structnet.export.onnx import check_onnx
from structnet.export.parts import Scored
from structnet.export.plan_format import PLAN
from structnet.export.verify import (
    arrays,
    input_of,
    outputs,
    predecessors,
    random_batches,
    verify,
)
from structnet.run.run import Run
from structnet.system.files import new_folder

# What is copied beside the exported files, and run there.
PROGRAMS = ("runtime.py", "samples.py")
MANIFEST, DESCRIPTION, VECTOR, EXAMPLE = "manifest.json", "model.json", "test.npz", "example.json"
FORMAT = 1


def export_run(run: Run, out: Path, count: int = 200) -> dict[str, Any]:
    """Export a run's net to a new folder, once it is known to give what torch gives.

    Returns the largest difference found, the files, what outputs without a unit are, and why other
    files are missing. NotExportable for a net that has no exported form, Differs where outputs
    differ by more than 1e-4, ValueError for a folder that holds something already; nothing is then
    written.

    Arguments:
        run: the run, whose net is loaded.
        out: the folder.
        count: how many random structures are compared with torch; 0 for none.
    """
    check_onnx()
    check_new(out)
    net: Any = run.load_net().eval()
    scored = Scored(net, finish_of(run))
    found = exported(run, net, scored)
    with new_folder(out) as temporary:
        manifest: dict[str, Any] = {"format": FORMAT, "structnet": version("structnet")}
        write_files(temporary, found.files, manifest)
        if count:
            found.files |= _vectors(run, net, scored, found.about, count)
            write_files(temporary, found.files, manifest)
            manifest["verified"] = _verified(temporary, run, net, scored, count)
            manifest["verified"] |= verify_forms(found, net, run.topology, scored)
        write_files(temporary, found.files, manifest)
    said = {name: found.about[name] for name in ("outputs", "without")}
    return {**manifest, "files": sorted(found.files), **said}


def check_new(out: Path) -> None:
    """ValueError for a folder to write to that is there and not empty, or no folder."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ValueError(f"out={out} is not a folder: name a new one")
    if out.is_dir() and any(out.iterdir()):
        raise ValueError(f"out={out} is not empty: name a new folder")


def finish_of(run: Run) -> Any:
    """What a task does with the head's outputs: its unit, where it predicts numbers."""
    return run.task.values if run.task.predicts_numbers else None


def exported(run: Run, net: Any, scored: Scored) -> Exported:
    """The files of a run's net, with the programs that run them and the description."""
    task, topology = run.task, run.topology
    found = export(net, topology, finish_of(run))
    is_number = task.predicts_numbers
    classes = list(map(str, task.classes))
    words = task.vocabulary
    found.about |= {
        "task": run.config["task"]["name"],
        "words": None if words is None else ["", *words.counts],
        "classes": classes if classes and not is_number else None,
        "unit": task.unit if is_number and not task.raw_outputs else None,
        "outputs": task.raw_outputs or None,
        "learned": {name: getattr(task, name) for name in task.learned},
    }
    add_forms(found, net, topology, scored, run.config["cell"])
    found.files[DESCRIPTION] = _json(found.about)
    found.files["plan.json"] = _json(PLAN)
    for name in PROGRAMS:
        found.files[name] = Path(__file__).with_name(name).read_bytes()
    return found


def _vectors(run: Run, net: Any, scored: Scored, about: Any, count: int) -> dict[str, bytes]:
    """A test vector of several structures, and a sample in JSON."""
    batches = list(islice(random_batches(net, run.topology, about, count, seed=1), 4))
    batch = batches[-1]
    tested: dict[str, Any] = {"expected": outputs(net, scored, batch)}
    tested |= {f"input_{name}": value for name, value in input_of(batch).items()}
    for index, plan in enumerate(batch.plans):
        tested |= {f"plan_{index}_{name}": one for name, one in arrays(plan).items()}
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **tested)
    return {VECTOR: data.getvalue(), **_example(run, batch, about)}


def _example(run: Run, batch: Any, about: Any) -> dict[str, bytes]:
    """The first structure of a batch as samples.py reads it; none with features of edges."""
    if about["edge_size"]:
        return {}
    tables = [predecessors(plan, run.topology)[0] for plan in batch.plans]
    given = input_of(batch)
    size = len(tables[0])
    sample: dict[str, Any] = {}
    if "ids" in given:
        ptr, ids = given["ptr"].tolist(), given["ids"].tolist()
        bags = [ids[a:b] for a, b in pairwise(ptr[: size + 1])]
        sample["tokens"] = [[about["words"][one] or 0 for one in bag] for bag in bags]
    if "x" in given:
        sample["features"] = given["x"][:size].tolist()
    if "condition" in given:
        sample["condition"] = given["condition"][0].tolist()
    sample["predecessors"] = dict(zip(about["directions"], tables, strict=True))
    return {EXAMPLE: _json(sample)}


def _verified(folder: Path, run: Run, net: Any, scored: Scored, count: int) -> dict[str, Any]:
    # Needs onnxruntime, which is looked for first.
    from structnet.export.runtime import Model

    error = verify(Model(folder), net, run.topology, scored, count, seed=0)
    return {"structures": count, "largest_difference": error, "torch": torch.__version__}


def write_files(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write all files, and the manifest with their checksums."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    sums = {name: sha256(data).hexdigest() for name, data in sorted(files.items())}
    (folder / MANIFEST).write_bytes(_json({**manifest, "sha256": sums}))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
