"""A card: what was checked of a component, and what was found."""

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch

import structnet
from structnet.registry.plugin import describe
from structnet.system.terminal import print_rows, visible

State = Literal["passed", "failed", "refused", "measured"]


class Failed(Exception):
    """A check that has found something; its message says what, where and by how much."""


class NotFor(Exception):
    """A component that says, by its own error, that it is not for what it was asked to do."""


@dataclass(frozen=True)
class Check:
    """One check.

    Arguments:
        name: what was checked.
        on: what it was checked on, such as a topology.
        state: passed; failed; refused, where the component does not take that; or measured, where
            there is a figure and no limit.
        said: what was found.
    """

    name: str
    on: str
    state: State
    said: str


@dataclass
class Card:
    """All checks of a component.

    Arguments:
        kind: cell, topology, executor or task.
        component: its name and options.
        left_out: the executors and checks that a quick check leaves out.
    """

    kind: str
    component: dict[str, Any]
    left_out: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether something was checked and nothing failed."""
        states = {one.state for one in self.checks}
        return "passed" in states and "failed" not in states

    def check(self, name: str, on: str, run: Callable[[], str], state: State = "passed") -> bool:
        """Run a check, which returns what it found, or raises Failed or NotFor; whether it did not.

        Any other error is what failed: it is described with its place.
        """
        try:
            found = Check(name, on, state, run())
        except NotFor as error:
            found = Check(name, on, "refused", str(error))
        except Failed as error:
            found = Check(name, on, "failed", str(error))
        except KeyboardInterrupt:
            raise
        # A component's own code may raise anything, and may call sys.exit.
        except BaseException as error:
            found = Check(name, on, "failed", describe(error))
        self.checks.append(found)
        return found.state == state

    def as_dict(self) -> dict[str, Any]:
        """The card as plain data, with the versions that it was made with."""
        return {
            "kind": self.kind,
            "component": self.component,
            "passed": self.passed,
            "left_out": self.left_out,
            "checks": [asdict(one) for one in self.checks],
            "versions": {
                "structnet": structnet.__version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            },
            "machine": platform.machine(),
        }

    def show(self) -> None:
        """Print the card as a table."""
        rows = [[one.state, one.name, one.on, visible(one.said)] for one in self.checks]
        print_rows(["", "check", "on", "found"], rows, left=(0, 1, 2, 3))
        failed = sum(one.state == "failed" for one in self.checks)
        verdict = "passed" if self.passed else f"{failed} failed" if failed else "takes nothing"
        if self.left_out:
            verdict += f"; quick, without {', '.join(self.left_out)}"
        print(f"{self.kind} {self.component['name']!r}: {len(self.checks)} checks, {verdict}")
