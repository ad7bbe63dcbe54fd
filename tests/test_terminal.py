"""What is printed of others' text: no control over the terminal, and only letters that it has."""

import io
import json
import warnings
from contextlib import redirect_stderr, redirect_stdout

import pytest
import torch
from commands import call, copy_of_trained, isolated, refused, trained

from structnet.cli.main import main
from structnet.system.memory import as_bytes, shortage
from structnet.system.terminal import counted, visible, visible_lines

# A window's title, a cleared screen, a C1 control, a text turned round, an undecodable byte.
CONTROLS = ("\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "\u202e", "\u2028", "\r", "\x00", "\udcff")


def test_whatever_is_no_letter_is_escaped():
    for control in CONTROLS:
        assert visible(f"a{control}b").isprintable()
    assert visible("a\x1bb\nc\td\u202e") == r"a\x1bb\nc\td\u202e"
    assert visible("λ → naïve, 中文 `x` \\n '") == "λ → naïve, 中文 `x` \\n '"
    assert visible_lines("one\ntwo\x1b\n") == "one\n  two\\x1b\n  "


def test_one_thing_is_not_several():
    assert [counted(n, "step") for n in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]
    assert [counted(n, "batch", "batches") for n in (1, 2)] == ["1 batch", "2 batches"]


@pytest.fixture
def hostile(tmp_path):
    """Source whose strings and file's name hold control characters, and forge a line."""
    name = "a\x1b]0;owned\x07\nforged.py:1: x == y (0.999)\u202e.py"
    source = "a = 'x\x1b[2J\u202e\x9b' - name\nb = width < 'λ→'\n"
    (tmp_path / name).write_text(source)
    return tmp_path


def test_findings_are_a_line_each_without_control_characters(hostile):
    status, out, err = call("predict", f"run={trained()}", f"path={hostile}")
    assert status == 0, err
    lines = out.splitlines()
    assert len(lines) == 2 == out.count("\n")
    for line in lines:
        assert line.isprintable() and line.startswith(str(hostile)), line
    assert r"a\x1b]0;owned\x07\nforged.py:1: x == y (0.999)\u202e.py:1:" in out


def test_warnings_and_errors_have_no_control_characters(hostile):
    (hostile / "b\x1b[2J\nstructnet: error: forged.py").write_text("def (:\n")
    status, _, err = call("predict", f"run={trained()}", f"path={hostile}")
    lines = [line for line in err.splitlines() if "forged" in line]
    assert status == 0 and lines
    assert all(line.isprintable() for line in err.splitlines())
    assert not any(line.startswith("structnet: error") for line in err.splitlines())
    for path in ("no\x1b[2J\nstructnet: error: forged", "\x9b", "no\u202e"):
        message = refused("predict", f"run={trained()}", f"path={path}")
        assert all(line.isprintable() for line in message.splitlines())
        assert not any(line.startswith("structnet") for line in message.splitlines()[1:])


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_all_findings_are_printed_whatever_letters_there_are(hostile, encoding):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    with isolated(), redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        status = main(["predict", f"run={trained()}", f"path={hostile}"])
        streams[0].flush()
    out = streams[0].buffer.getvalue().decode(encoding)
    assert status == 0 and len(out.splitlines()) == 2
    assert ("λ→" in out) == (encoding == "utf-8") and ("\\u03bb\\u2192" in out) != ("λ→" in out)


@pytest.mark.parametrize("words", [["--help"], ["list"], ["train", "--cfg"], ["predict", "é→"]])
def test_every_command_prints_in_ascii(words):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2)]
    with isolated(), redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        assert main(list(words)) == (2 if "é→" in words else 0)


def allocation_errors():
    for make in (
        lambda: torch.empty(1 << 50),
        lambda: torch.empty(1 << 62, 1 << 62),
        lambda: torch.zeros(1 << 45, dtype=torch.float64),
    ):
        with pytest.raises(RuntimeError) as caught:
            make()
        yield caught.value


def test_what_is_for_want_of_memory_says_so():
    for error in [*allocation_errors(), MemoryError(), MemoryError("Unable to allocate 8.00 GiB")]:
        text = shortage(error)
        assert text is not None and text.startswith("out of memory") and "\n" not in text
    assert "allocating 4.5 PB at once" in shortage(next(allocation_errors()))
    assert "allocating 8.00 GiB at" in shortage(MemoryError("Unable to allocate 8.00 GiB for x"))
    assert shortage(MemoryError("out of memory reading x")) == "out of memory reading x"
    worker = RuntimeError("Caught MemoryError in DataLoader worker process 0.\nOriginal Traceback")
    assert "\n" not in shortage(worker)
    for error in (RuntimeError("shapes do not match"), ValueError("x"), KeyError("memory")):
        assert shortage(error) is None


@pytest.mark.parametrize("error", [*allocation_errors(), MemoryError()])
def test_want_of_memory_is_a_line_and_other_errors_of_torch_are_not_hidden(error, monkeypatch):
    def fail(words):
        raise error

    monkeypatch.setattr("structnet.cli.list.run", fail)
    message = refused("list")
    assert message.startswith("out of memory") and "\n" not in message
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1"):
        call("list")


def test_bytes_are_shown_in_the_units_that_fit():
    sizes = [0, 999, 1000, 65_536, 2_048_000_000_000, 10**21]
    assert [as_bytes(size) for size in sizes] == [
        "0 bytes", "999 bytes", "1.0 kB", "65.5 kB", "2.0 TB", "1,000.0 EB"
    ]  # fmt: skip


def test_other_libraries_warnings_are_escaped_too(monkeypatch):
    from structnet.cli.main import _plain_warnings

    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *where: shown.append(message))
    with _plain_warnings():
        for text in ("odd\x1b", "plain"):
            warnings.showwarning(UserWarning(text), UserWarning, "x.py", 1)
    assert [str(one) for one in shown] == ["odd\\x1b", "plain"]
    assert isinstance(shown[1], UserWarning)


def test_tables_show_the_names_of_others_as_they_are_written(tmp_path):
    run = copy_of_trained(tmp_path)
    (run / "manifest.json").unlink()
    names = ("\x1b]0;owned\x07", "[red]bold[/red]", "a\nb")
    figures = {name: {"accuracy": 0.5} for name in names}
    (run / "metrics.json").write_text(json.dumps({"baselines": figures}))
    status, out, err = call("test", f"run={run}")
    assert status == 0, err
    assert all(line.isprintable() for line in out.splitlines())
    assert r"\x1b]0;owned\x07" in out and "[red]bold[/red]" in out and r"a\nb" in out


def test_names_of_pictures_are_escaped(tmp_path):
    path = tmp_path / "a\x1b[2J\nb.png"
    status, out, err = call("draw", "topology=chain", "length=2", f"out={path}")
    assert status == 0 and path.is_file(), err
    assert all(line.isprintable() for line in out.splitlines()) and r"a\x1b[2J\nb.png" in out
