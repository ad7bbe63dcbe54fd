"""The command line: runs commands, and prints usage, errors and warnings."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import structnet
from structnet import DataWarning
from structnet.cli import commands
from structnet.cli.flags import check_flags
from structnet.cli.usage import USAGE
from structnet.distributed.launch import go_alone, launched
from structnet.registry.plugin import PluginWarning, blame, load_file
from structnet.system.memory import shortage
from structnet.system.signals import Stopped, stoppable
from structnet.system.terminal import show_all_letters, silence, visible_lines
from structnet.system.words import command_line, take_flag, take_values

HELP_FLAGS = ("-h", "--help")
# What a shell gives for a process that SIGPIPE ended.
BROKEN_PIPE = 128 + 13
# The rounds that an idle thread of OpenMP waits before it sleeps.
SPINS = "2000"

# Errors that a user can make and mend: printed without a traceback.
MISTAKES = (ArithmeticError, ImportError, LookupError, MemoryError, OSError, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status.

    It is 0, 1 if a run of a sweep failed, 2 for an error, or 128 + N after signal N.

    Arguments:
        arguments: of the command line, sys.argv's by default.
    """
    show_all_letters()
    # Read by torch's profiler when torch is loaded: its log lines would stand among our output.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        # Read by torch's threads as well: a thread that waits gives its core to others earlier than
        # by default. Beside six busy processes on two cores, steps took half of the time or less.
        os.environ["GOMP_SPINCOUNT"] = SPINS
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
        # Of several processes the first one says it.
        if launched().is_first:
            print(message, file=sys.stderr)
        return 128 + received[0]


def _call(arguments: Sequence[str] | None, received: list[int]) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    traceback = take_flag(words, "--traceback")
    try:
        with _plain_warnings():
            status = _command(words)
            # Here, so that a closed pipe raises where it is caught.
            sys.stdout.flush()
            return status
    except BrokenPipeError:
        # The reader has closed the pipe, as `| head` does; what is flushed at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("structnet: stopped, as its output is no longer read", file=sys.stderr)
        return BROKEN_PIPE
    except Exception as error:
        known = shortage(error) or blame(error) or _missing(error)
        text = known or str(error) or type(error).__name__
        if getattr(error, "is_told", False):
            return 2
        explained = text != str(error) or text.startswith("DataLoader worker")
        if not isinstance(error, MISTAKES) and not explained:
            raise
        # After a signal, an error that a library raised is not the user's.
        if traceback or received:
            raise
        print(f"structnet: error: {visible_lines(text)}", file=sys.stderr)
        return 2


def _missing(error: BaseException) -> str | None:
    """What to install where a module is missing; None for any other error."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name is None or name.split(".")[0] == "structnet":
        return None
    return (
        f"{name} is not installed: the library needs torch and numpy alone, commands need all "
        "that `pip install structnet` installs"
    )


def _command(words: list[str]) -> int:
    if not words or words[0] in HELP_FLAGS or words == ["help"]:
        print(USAGE + commands.listed(), end="")
        return 0 if words else 2
    if words in (["--version"], ["-V"], ["version"]):
        print(f"structnet {structnet.__version__}")
        return 0
    name = words.pop(0)
    if name == "help":
        name, words = words[0], ["--help"]
    command = commands.find(name)
    if command is None:
        raise ValueError(_unknown(name, words))
    # What follows -- is for the command alone.
    at = words.index("--") if "--" in words else len(words)
    words, rest = words[:at], words[at:]
    if any(word in HELP_FLAGS for word in words):
        print(command.help, end="")
        return 0
    check_flags(command, words)
    # Only training is shared by processes that were started together.
    if name != "train" and not go_alone():
        return 0
    run = command.load()
    for plugin in take_values(words, "--plugin"):
        load_file(plugin)
    with silence() if take_flag(words, "--quiet") else nullcontext():
        return run([*words, *rest]) or 0


def _unknown(name: str, words: Sequence[str]) -> str:
    """What to type in place of a word that is not a command."""
    from structnet.registry.suggest import did_you_mean

    known = commands.names()
    if name.startswith("-") and (found := [word for word in words if word in known]):
        others = [word for word in (name, *words) if word != found[0]]
        return f"the command comes first: {command_line(found[0], *others)}"
    if "=" in name and not name.startswith("-"):
        command = "train" if not name.startswith("run=") else "test"
        return (
            f"no command {name!r} among {sorted(known)}; "
            f"for example: {command_line(command, name, *words)}"
        )
    return f"no command {name!r} {did_you_mean(name, known)}"


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print our own warnings as one line each, without file and source line."""
    with warnings.catch_warnings():
        for ours in (DataWarning, PluginWarning):
            warnings.simplefilter("always", ours)
        show = warnings.showwarning
        printed: set[str] = set()

        def show_plainly(message: Any, category: type, *where: Any, **kwargs: Any) -> None:
            text = visible_lines(str(message))
            if issubclass(category, DataWarning | PluginWarning):
                # Once each: a configuration may be composed several times.
                if text not in printed:
                    printed.add(text)
                    print(f"structnet: {text}", file=sys.stderr)
            else:
                show(message if text == str(message) else text, category, *where, **kwargs)

        warnings.showwarning = show_plainly
        yield


if __name__ == "__main__":
    sys.exit(main())
