"""Cells that do other things have programs of their own."""

from types import SimpleNamespace

from structnet.execute.compiled.fingerprint import fingerprint


def holder(values):
    """Objects in objects, which are looked into one after the other."""
    return SimpleNamespace(parts=[SimpleNamespace(inner=SimpleNamespace(v=v)) for v in values])


def test_what_objects_hold_is_told_apart_however_many_there_are():
    size = 20
    plain = fingerprint(holder([0] * size))
    assert plain == fingerprint(holder([0] * size))
    for place in range(size):
        values = [0] * size
        values[place] = 1
        assert fingerprint(holder(values)) != plain
