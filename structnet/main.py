"""The command line: its usage, its mistakes, and the way to a command."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from structnet import DataWarning
from structnet.commands import COMMANDS
from structnet.memory import shortage
from structnet.plugin import PluginWarning, load_file
from structnet.signals import Stopped, stoppable
from structnet.terminal import show_all_letters, visible_lines
from structnet.words import take_flag, take_values

USAGE = """\
structnet: structured recurrent networks over sequences, trees, grids and graphs

  structnet train [GROUP=NAME ...] [GROUP.OPTION=VALUE ...]   train, and test at the end
  structnet train resume=DIR [trainer.max_epochs=N]           go on where a run stopped
  structnet train -m topology=chain,bichain cell=lstm,gru     a sweep: every combination
  structnet test run=DIR                                      the test figures of a run again
  structnet predict run=DIR path=FILE_OR_FOLDER [top=N]       what a run says of your files
  structnet generate run=DIR [n=64] [out=FILE.png]            what a run draws by itself
  structnet diagnose run=DIR                                  gradients, gates, spectral radii
  structnet draw topology=diagonal height=5 width=7           who comes before whom, as a picture
  structnet draw task=enas [sample=N]                         a sample of a task's data
  structnet draw run=DIR [sample=N]                           what a run says of a sample's nodes
  structnet bench topology=tree cell=lstm [KEY=VALUE ...]     time and memory, next to rivals
  structnet bench suite=cpu [rows=ROW,ROW]                    figures that have to be reached
  structnet bench suite=cuda --device cuda                    those of a GPU
  structnet bench suite=scale out=FILE.json                   growth with graphs, and FILE.png
  structnet list [GROUP]                                      components and their options

Groups: task, topology, cell, net, readout, trainer, experiment, debug. Without a word more,
`structnet train` learns to find swapped operands in Python code with a Tree-LSTM.

  seed=N          seed of weights and of the order of samples (0)
  run=DIR         directory of a new run (runs/DATE_TIME_TASK-TOPOLOGY-CELL)
  --cfg           print the composed configuration and stop
  --config-dir D  a folder of configuration files of your own
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --json          for programs (list, predict, diagnose, bench)
  --device D      where bench measures: cpu (the default) or cuda
  --traceback     show where an error came from

generate takes the options of the run's task, for images n, temperature, seed, class=LABEL,
complete=N (test images, their lower halves drawn), small=DIR (a run that draws the small images of
task.condition=small), height and width.

draw takes the sizes of what the topology takes: length of a sequence, leaves (and seed) of a random
tree, nodes (and seed) of a random graph, height and width of a grid and depth with topology.dims=3;
with a task or a run sample=N and split=train, validation or test; out=FILE.png or FILE.svg.

bench takes size=20 or size=4..64 (steps, leaves, height and width), batch, input_size,
hidden_size, executor, zoneout, repeats, seed, threads and out=FILE for JSON; with a suite only
rows, scale, repeats, seed, threads and out.
"""

MISTAKES = (ArithmeticError, ImportError, LookupError, MemoryError, OSError, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status: 2 for a mistake in the call, 128 + N for signal N."""
    show_all_letters()
    with stoppable() as received:
        message = "stopped"
        try:
            status = _call(arguments, received)
        except Stopped as error:
            message = str(error)
        except BaseException:
            if not received:
                raise
        if not received:
            return status
        print(message, file=sys.stderr)
        return 128 + received[0]


def _call(arguments: Sequence[str] | None, received: list[int]) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help") or "--help" in words or "-h" in words:
        print(USAGE, end="")
        return 0 if words else 2
    traceback = take_flag(words, "--traceback")
    try:
        with _plain_warnings():
            command = _find_command(words.pop(0))
            for plugin in take_values(words, "--plugin"):
                load_file(plugin)
            return command(words) or 0
    except BrokenPipeError:
        # Whoever reads our lines has seen enough; nothing is left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (*MISTAKES, RuntimeError) as error:
        text = shortage(error) or str(error) or type(error).__name__
        told = text != str(error) or text.startswith("DataLoader worker")
        if isinstance(error, RuntimeError) and not told:
            raise
        # A signal is no mistake, whatever a library has made of it.
        if traceback or received:
            raise
        print(f"structnet: error: {visible_lines(text)}", file=sys.stderr)
        return 2


def _find_command(name: str) -> Callable[[list[str]], int]:
    if name not in COMMANDS:
        from structnet.registry import did_you_mean

        raise ValueError(f"no command {name!r} {did_you_mean(name, COMMANDS)}")
    return COMMANDS[name]


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Our own warnings as lines for a person."""
    with warnings.catch_warnings():
        for ours in (DataWarning, PluginWarning):
            warnings.simplefilter("always", ours)
        show = warnings.showwarning

        def show_plainly(message: Any, category: type, *where: Any, **kwargs: Any) -> None:
            text = visible_lines(str(message))
            if issubclass(category, DataWarning | PluginWarning):
                print(f"structnet: {text}", file=sys.stderr)
            else:
                show(message if text == str(message) else text, category, *where, **kwargs)

        warnings.showwarning = show_plainly
        yield


if __name__ == "__main__":
    sys.exit(main())
