"""The commands by name, a file each: what is done with the words after one.

Imports are where they are needed: `structnet --help` needs none of them.
"""

from collections.abc import Callable

from structnet.commands.bench import bench
from structnet.commands.diagnose import diagnose
from structnet.commands.draw import draw
from structnet.commands.generate import generate
from structnet.commands.listing import list_components
from structnet.commands.predict import predict
from structnet.commands.test import test
from structnet.commands.train import train

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "test": test,
    "predict": predict,
    "generate": generate,
    "diagnose": diagnose,
    "draw": draw,
    "bench": bench,
    "list": list_components,
}
