"""What has no exported form: one message that names the option and the way out."""

from typing import Any

from torch import nn

from structnet.export.onnx import NotExportable
from structnet.nn.embedding import Embedding, OneHot
from structnet.nn.head import JointHead
from structnet.nn.input_layer import BesideNumbers
from structnet.nn.net import Net
from structnet.nn.readout import Pair
from structnet.registry import heads, nets


def check_exportable(net: Any) -> None:
    """NotExportable for a net with more than layers of cells, a readout and a head."""
    if type(net) is not Net:
        raise NotExportable(
            f"{nets.called(net)} has a loop or parts of its own, and what is exported is layers of "
            "cells, a readout and a head: train net=stack, or serve this one with structnet"
        )
    for name in ("before", "after"):
        if getattr(net, name) is not None:
            raise NotExportable(
                f"net.{name} is a graph convolution of torch_geometric, which has no exported "
                f"form: train with net.{name}=null"
            )
    if net.embeddings is not None:
        raise NotExportable(
            "net.embeddings reads the states of another run's net, which has no exported form: "
            "train with net.embeddings=null, or with vectors of words, net.vectors=FILE"
        )
    if isinstance(net.readout, Pair):
        raise NotExportable(
            "readout=pair reads two structures of a sample, and exported files are verified on "
            "random single ones: serve this net with structnet, or train with readout=root"
        )
    if isinstance(net.head, JointHead):
        raise NotExportable(
            f"{heads.called(net.head)} searches for the best classes of a sample together, which "
            "has no exported form: train with head=softmax"
        )
    if net.condition is not None and net.condition.reads == "initial":
        raise NotExportable(
            "net.condition=initial gives chains states to start from, which has no exported form: "
            "train with net.condition=input"
        )
    layer = net.input.layer if isinstance(net.input, BesideNumbers) else net.input
    if not isinstance(layer, Embedding | OneHot | nn.Identity):
        raise NotExportable(
            "net.characters reads the bytes of words, which has no exported form: train with "
            "net.characters=null"
        )
