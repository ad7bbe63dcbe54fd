"""Runs a model that `structnet export` wrote, with numpy and onnxruntime alone.

python runtime.py INPUT.json   prints the outputs for samples, as samples.py reads them
python runtime.py test.npz     runs the test vector, and prints the largest difference
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

# The arrays of a plan, which plan.json describes.
ARRAYS = ("order", "rank", "rows", "steps", "sinks", "ptr", "num_initial", "present", "edges")


class Model:
    """A folder that `structnet export` wrote; a file that is not what was written is refused."""

    def __init__(self, folder):
        self.folder, self.sessions = Path(folder), {}
        self.sums = json.loads((self.folder / "manifest.json").read_bytes())["sha256"]
        self.about = json.loads(self.read("model.json"))

    def read(self, name):
        data = (self.folder / name).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sums.get(name):
            raise ValueError(f"{self.folder / name} is not the file that was exported (SHA-256)")
        return data

    def call(self, name, **given):
        """The outputs of an ONNX file, given its inputs and possibly others by name."""
        if name not in self.sessions:
            cpu = ["CPUExecutionProvider"]
            self.sessions[name] = onnxruntime.InferenceSession(self.read(name), providers=cpu)
        wanted = [one.name for one in self.sessions[name].get_inputs()]
        return self.sessions[name].run(None, {one: given[one] for one in wanted})

    def run(self, plans, edge_x=None, **entering):
        """The outputs, given a plan per direction, and what enters, by the names of input.onnx."""
        ptr = plans[0]["ptr"]
        sample = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
        (x,) = self.call("input.onnx", **{"sample": sample, **entering})
        h = np.concatenate([self.stack(one, x, plans, edge_x) for one in self.about["stacks"]], 1)
        sinks = {f"sinks_{i}": plan["sinks"] for i, plan in enumerate(plans)}
        return self.call("head.onnx", h=h, sample=sample, ptr=ptr, **sinks)[0]

    def stack(self, stack, x, plans, edge_x):
        """What leaves layers on top of each other, (nodes, size)."""
        h, below = x, None
        for layer in stack["layers"]:
            outs, states = [], []
            for at, cell in enumerate(layer["cells"]):
                start = below[at] if stack["hands_on"] and below else None
                read = np.concatenate([h, *outs], 1) if stack["in_turn"] else h
                out, state = self.sweep(cell, plans[cell["direction"]], read, start, edge_x)
                outs, states = [*outs, out], [*states, state]
            out, below = np.concatenate(outs, 1), states
            h = self.call(layer["leave"], h=h, out=out, x=x)[0] if layer["leave"] else out
        return h

    def sweep(self, cell, plan, x, start, edge_x):
        """One cell over a plan: its output and its states, with a row per node."""
        count, first, sizes = len(plan["order"]), 1 + int(plan["num_initial"]), cell["sizes"]
        own = start or [np.zeros((count, size), np.float32) for size in sizes]
        x = np.concatenate([x, *own], 1) if cell["reads_own"] else x
        (z,) = self.call(cell["project"], x=x[plan["order"]])
        # Row 0 is the null state, then come the initial states, then the nodes by rank.
        buffers = [np.zeros((first + count, size), np.float32) for size in sizes]
        for buffer, state in zip(buffers, start or (), strict=False):
            buffer[1:first] = state
        terms = self.call(cell["edges"], edge_x=edge_x)[0] if cell["edges"] else None
        for begin, stop, slots, offset in plan["steps"].tolist():
            at, shape = slice(offset, offset + (stop - begin) * slots), (stop - begin, slots, -1)
            read = [buffer[plan["rows"][at]].reshape(shape) for buffer in buffers]
            given = {f"state_{i}": state for i, state in enumerate(read)}
            if len(plan["present"]):
                given["present"] = plan["present"][at].reshape(shape).astype(bool)
            else:
                given["present"] = np.ones((stop - begin, slots, 1), bool)
            if terms is not None:
                given["edges"] = terms[plan["edges"][at]].reshape(shape)
            new = self.call(cell["step"], z=z[begin:stop], **given)
            for buffer, state in zip(buffers, new, strict=True):
                buffer[first + begin : first + stop] = state
        states = {f"state_{i}": buffer[first:] for i, buffer in enumerate(buffers)}
        out = self.call(cell["output"], z=z, **states)[0] if cell["output"] else states["state_0"]
        return out[plan["rank"]], [state[plan["rank"]] for state in states.values()]


def main(path):
    model = Model(Path(__file__).parent)
    if path.endswith(".npz"):
        with np.load(path, allow_pickle=False) as saved:
            directions = range(len(model.about["directions"]))
            plans = [{name: saved[f"plan_{i}_{name}"] for name in ARRAYS} for i in directions]
            given = {k.removeprefix("input_"): saved[k] for k in saved if k.startswith("input_")}
            difference = np.abs(model.run(plans, **given) - saved["expected"]).max()
        print(json.dumps({"largest_difference": float(difference)}))
        return
    # Python's isolated mode leaves out the folder of the program, which stays as it was written.
    sys.path.insert(0, str(model.folder))
    sys.dont_write_bytecode = True
    from samples import answers, read_samples

    plans, given = read_samples(path, model.about)
    print(json.dumps(answers(model.run(plans, **given), model.about), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:2] or [str(Path(__file__).with_name("test.npz"))])
