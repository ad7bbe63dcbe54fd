"""export: a run's net as ONNX files, with plans and a program that runs them."""

from pathlib import Path

from structnet.system.terminal import visible
from structnet.system.words import command_line, take_options, take_values, whole

# The random structures that are compared with torch.
VERIFIED = 200


def run(words: list[str]) -> int:
    counts = take_values(words, "--verify")
    options = take_options(words, required=("run", "out"))
    if len(counts) > 1:
        raise ValueError("--verify is given twice")
    count = whole(counts[0], "--verify", least=0) if counts else VERIFIED
    from structnet.config.composing import saved
    from structnet.export.folder import export_run
    from structnet.run.run import Run

    folder = Path(options["run"])
    out = Path(options["out"])
    found = export_run(Run.compose(saved(options["run"]), folder), out, count)
    onnx = [name for name in found["files"] if name.endswith(".onnx")]
    print(visible(f"exported: {out} ({len(onnx)} ONNX files, {len(found['files'])} in all)"))
    if found["outputs"]:
        print(visible(f"outputs: {found['outputs']}"))
    for name, why in found["without"].items():
        print(visible(f"without {name}: {why}"))
    if count:
        largest = found["verified"]["largest_difference"]
        print(f"verified: {count} random structures, largest difference from torch {largest:.2g}")
        print(visible(f"run it with numpy and onnxruntime alone: python {out / 'runtime.py'}"))
    else:
        again = command_line("export", f"run={folder}", "out=FOLDER")
        print(f"not verified; to compare it with torch: {again}")
    return 0
