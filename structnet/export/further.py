"""Further forms of a net of chains: one ONNX file over sequences, and a layer of torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import nn

from structnet.data.batch import Sample, Tokens, collate
from structnet.export.chains import chain_part, without_chain
from structnet.export.model import Exported
from structnet.export.onnx import NotExportable, to_onnx
from structnet.export.parts import Scored
from structnet.export.torch_layer import find_torch, torch_layer
from structnet.export.verify import LARGEST, Differs, difference, outputs
from structnet.nn.net import Net
from structnet.topology.base import Topology

CHAIN, LAYER = "chain.onnx", "torch_layer.safetensors"
# The lengths of the sequences of batches that are compared.
LENGTHS = ([1], [7, 3], [40, 1, 13])


def add_forms(
    found: Exported, net: Net, topology: Topology, scored: Scored, cell: Mapping[str, Any]
) -> None:
    """Add what a net of chains can be exported as besides; `without` says why what is missing is.

    Arguments:
        found: gets the files.
        net, topology, scored: what is exported.
        cell: the cell's name and options.
    """
    ways, without = found.about["chain"], {}
    if (why := without_chain(net, topology, ways)) is not None:
        without[CHAIN] = why
    else:
        try:
            found.files |= to_onnx([chain_part(net, list(ways.values()), scored)])
        except NotExportable as error:
            without[CHAIN] = str(error)
    of_torch = find_torch(net, cell, ways)
    if isinstance(of_torch, str):
        without[LAYER] = of_torch
    else:
        module, made = torch_layer(net, of_torch)
        found.files[LAYER] = save(module.state_dict())
        found.about["torch_layer"] = made
    found.about["without"] = without


def verify_forms(found: Exported, net: Net, topology: Topology, scored: Scored) -> dict[str, float]:
    """The largest difference of each of these forms from torch; Differs where it is above 1e-4."""
    largest = {}
    if CHAIN in found.files:
        largest[CHAIN] = _chain_difference(found.files[CHAIN], net, topology, scored)
    if LAYER in found.files:
        largest[LAYER] = _layer_difference(found, net, topology)
    for name, worst in largest.items():
        if not worst <= LARGEST:
            raise Differs(
                f"{name} differs from torch by {worst:.3g}, more than {LARGEST:g}, on sequences of "
                f"{LENGTHS} steps: nothing is written"
            )
    return largest


def _chain_difference(data: bytes, net: Net, topology: Topology, scored: Scored) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    random, worst = np.random.default_rng(0), 0.0
    for lengths in LENGTHS:
        inputs, samples = _sequences(net, lengths, random)
        expected = outputs(net, scored, collate(samples, topology))
        rows: Any = session.run(None, {**inputs, "lengths": np.array(lengths)})[0]
        if net.readout.per_node:
            rows = np.concatenate([row[:n] for row, n in zip(rows, lengths, strict=True)])
        worst = max(worst, difference(rows, expected))
    return worst


def _sequences(net: Net, lengths: list[int], random: Any) -> tuple[dict[str, Any], list[Sample]]:
    """Random sequences, as chain.onnx takes them and as samples."""
    shape = len(lengths), max(lengths)
    if isinstance(net.input, nn.Identity):
        x = random.standard_normal((*shape, net.entering)).astype(np.float32)
        cut = [one[:n] for one, n in zip(x, lengths, strict=True)]
    else:
        layer: Any = net.input
        x = random.integers(0, len(layer.dropout.counts), shape)
        cut = [Tokens(one[:n], np.arange(n + 1)) for one, n in zip(x, lengths, strict=True)]
    name = "x" if isinstance(net.input, nn.Identity) else "ids"
    return {name: x}, [Sample(n, one, 0) for one, n in zip(cut, lengths, strict=True)]


@torch.inference_mode()
def _layer_difference(found: Exported, net: Net, topology: Topology) -> float:
    """That of torch's layer, loaded from its file, from the net's layers."""
    made, worst = found.about["torch_layer"], 0.0
    module = getattr(nn, made["module"])(**made["options"])
    module.load_state_dict(load(found.files[LAYER]))
    for length in map(max, LENGTHS):
        x = torch.randn(length, 2, made["options"]["input_size"])
        h = module(x)[0].transpose(0, 1).flatten(0, 1)
        expected = net.stack(x.transpose(0, 1).flatten(0, 1), topology.plan([length] * 2))
        worst = max(worst, difference(h.numpy(), expected.numpy()))
    return worst
