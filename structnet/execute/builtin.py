"""The built-in executors by name."""

from structnet.execute.batched import Batched
from structnet.execute.compiled.executor import Compiled
from structnet.execute.executor import Auto
from structnet.execute.reference import Reference
from structnet.execute.scan import Scan
from structnet.execute.torch_layer.executor import Torch
from structnet.registry import executors

executors.register("auto")(Auto)
executors.register("torch")(Torch)
executors.register("scan")(Scan)
executors.register("batched")(Batched)
executors.register("compiled")(Compiled)
executors.register("reference")(Reference)
