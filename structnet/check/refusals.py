"""Refusals: errors that a component says by itself, told from those that it makes by mistake."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dis import opmap

from structnet.cell.call import checked_states
from structnet.check.card import NotFor
from structnet.topology.base import Topology

RAISE = opmap["RAISE_VARARGS"]
# What raises for others: a ValueError of theirs is a component's mistake.
LIBRARIES = {*sys.stdlib_module_names, "numpy", "torch"}


@contextmanager
def refusals() -> Iterator[None]:
    """Raise NotFor for a ValueError that says a refusal, and leave any other as it is."""
    try:
        yield
    except ValueError as error:
        if not is_said(error):
            raise
        raise NotFor(str(error)) from error


def is_said(error: BaseException) -> bool:
    """Whether a `raise` statement of structnet or of a component made an error.

    Not so where a call or an operation failed, such as `int("a")` or `math.sqrt(-1)`.
    """
    made = error.__traceback__
    while made is not None and made.tb_next is not None:
        made = made.tb_next
    if made is None:
        return True
    frame = made.tb_frame
    # There the number of the sample is added to what a topology says.
    if frame.f_code is Topology._tables.__code__ and error.__cause__ is not None:
        return is_said(error.__cause__)
    # What it says of states is of a cell that returned others than it declares.
    if frame.f_code is checked_states.__code__:
        return False
    package = frame.f_globals.get("__name__", "").split(".")[0]
    return frame.f_code.co_code[made.tb_lasti] == RAISE and package not in LIBRARIES
