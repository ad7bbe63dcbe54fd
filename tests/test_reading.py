"""Files of other people: what is no file, is packed too densely or begins with a mark."""

import gzip
import os
import socket
import struct
import warnings
import zlib

import numpy as np
import pytest
from commands import copy_of_trained, refused, trained
from PIL import Image

import structnet as sn
from structnet.plugins.code import sources
from structnet.plugins.code.sources import parse, python_files
from structnet.plugins.files import images as files
from structnet.plugins.files.lines import read_lines
from structnet.plugins.graph.molecules.tagged import read_indices
from structnet.plugins.graph.tasks.enas import read_architectures
from structnet.plugins.treebanks.brackets import read_brackets
from structnet.run.plain import read_json
from structnet.run.saved import read_metrics, saved_config
from structnet.system import reading

MARK = b"\xef\xbb\xbf"
ENAS = b"[[5], [4, 0], [0, 1, 0], [5, 0, 0, 1], [3, 0, 0, 0, 0], [2, 0, 0, 1, 0, 0]], 0.7\n"


@pytest.fixture(params=["pipe", "socket", "device", "folder"])
def no_file(request, tmp_path, monkeypatch):
    """A path that is there and is no file."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.py"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "folder":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("x.py")
    return path


def test_what_is_no_file_is_not_waited_for(no_file):
    readers = [sn.read_bytes, sn.read_text, sn.check_archive, lambda path: list(read_lines(path)),
               lambda path: list(read_brackets(path)), lambda path: files.read_idx(path, 1),
               lambda path: files.read_image(path, 3)]  # fmt: skip
    for read in readers:
        with pytest.raises(ValueError, match=r"no file .*x\.py: it is a (folder|pipe)"):
            read(no_file)
    with pytest.raises(SyntaxError, match=r"x\.py: it is a"):
        parse(no_file)


def test_what_is_no_file_is_passed_over_where_python_files_are_searched(no_file):
    (no_file.parent / "y.py").write_text("a = b - c % d\n")
    task = sn.tasks.create("swapped")
    task.vocabulary = sn.Vocabulary({})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = list(task.read(no_file.parent, sn.topologies.create("tree")))
    assert len(found) == 4
    is_folder = no_file.is_dir()
    assert ["x.py: it is a pipe" in str(one.message) for one in caught] == [True] * (not is_folder)
    if not is_folder:
        message = refused("predict", f"run={trained()}", f"path={no_file}")
        assert "x.py: it is a pipe, a socket or a device" in message


def test_a_pipe_among_the_files_of_a_run_is_not_waited_for(tmp_path):
    for name in ("config.yaml", "config.json", "model.safetensors"):
        run = copy_of_trained(tmp_path / name)
        (run / name).unlink()
        os.mkfifo(run / name)
        assert name in refused("test", f"run={run}")


READERS = {
    "lines": (read_lines, b"a\nb\n"),
    "brackets": (read_brackets, b"(2 (1 a) (3 b))\n(2 a)\n"),
    "architectures": (read_architectures, ENAS * 2),
    "indices": (lambda path: read_indices(path, 9), b"3\n4\n"),
}


@pytest.mark.parametrize("reader", READERS)
def test_marks_and_blank_lines_at_the_end_of_text_are_passed_over(tmp_path, reader):
    read, text = READERS[reader]
    path = tmp_path / "text.txt"
    path.write_bytes(text)
    expected = [str(one) for one in read(path)]
    assert len(expected) == 2
    for changed in (MARK + text, text + b"\n\n", text + b"  \n", text.replace(b"\n", b"\r\n"),
                    text[:-1], MARK + text.replace(b"\n", b"\r\n") + b"\r\n \r\n"):  # fmt: skip
        path.write_bytes(changed)
        assert [str(one) for one in read(path)] == expected
    path.write_bytes(text.decode().encode("utf-16"))
    with pytest.raises(ValueError, match=r"text\.txt is not text in UTF-8"):
        list(read(path))


def test_a_mark_before_python_source_or_a_configuration_is_passed_over(tmp_path):
    (tmp_path / "x.py").write_bytes(MARK + b"a = 1\n")
    assert len(parse(tmp_path / "x.py").body) == 1
    run = copy_of_trained(tmp_path)
    expected = saved_config(run), read_metrics(run), read_json(run / "config.json")
    # As by an editor, in a run from before there were manifests.
    (run / "manifest.json").unlink()
    for name in ("config.yaml", "config.json", "metrics.json"):
        (run / name).write_bytes(MARK + (run / name).read_bytes())
    assert (saved_config(run), read_metrics(run), read_json(run / "config.json")) == expected


def test_a_file_that_unpacks_without_end_is_named_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "UNPACKED", 10_000)
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress(b"0" * 10_000))
    assert len(sn.read_bytes(path)) == 10_000
    path.write_bytes(gzip.compress(b"0" * 10_001))
    with pytest.raises(ValueError, match=r"x\.txt\.gz, .* unpacks to more than 10\.0 kB.*gunzip"):
        sn.read_bytes(path)
    assert sn.read_bytes(path, 5) == b"00000"
    path = tmp_path / "x.npz"
    np.savez_compressed(path, np.zeros(2000))
    with pytest.raises(ValueError, match=r"x\.npz, .* unpacks to 16\.1 kB.*savez"):
        sn.check_archive(path)
    np.savez(path, np.zeros(2000))
    sn.check_archive(path)


def test_a_file_larger_than_memory_is_named(tmp_path):
    path = tmp_path / "x.txt"
    path.touch()
    os.truncate(path, 1 << 42)
    for read in (sn.read_bytes, sn.read_text, lambda path: list(read_brackets(path))):
        with pytest.raises(ValueError, match=r"x\.txt has 4\.4 TB, more than this machine"):
            read(path)


def test_no_more_of_an_idx_file_is_unpacked_than_its_head_says(tmp_path, monkeypatch):
    head = b"\0\0\x08\1" + struct.pack(">I", 5)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(head + bytes(10**6)))
    read = []
    monkeypatch.setattr(reading.gzip.GzipFile, "read", lambda self, count: read.append(count))
    with pytest.raises(TypeError):
        files.read_idx(path, 1)
    assert read == [8]
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"13 bytes expected, got 14 or more"):
        files.read_idx(path, 1)


def png(height, width):
    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100)))


@pytest.mark.parametrize("shape", [(8193, 8192), (12_000, 12_000), (1, 2**31 - 1), (20_000, 9000)])
@pytest.mark.filterwarnings("error")
def test_a_picture_of_too_many_pixels_is_refused_by_its_head(tmp_path, shape):
    path = tmp_path / "x.png"
    path.write_bytes(png(*shape))
    with pytest.raises(
        ValueError, match=r"x\.png is no PNG or JPEG file that can be read: .*pixels"
    ):
        files.read_image(path, 3)


def test_pictures_that_are_too_many_for_memory_are_refused(tmp_path, monkeypatch):
    for number in range(4):
        Image.new("RGB", (10, 10)).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(sn.tasks["images"]._read.__globals__["sn"], "total_memory", lambda: 1500)
    with pytest.raises(ValueError, match=r"up to 2\.png are 900 bytes unpacked, more than half"):
        sn.tasks.create("images", root=str(tmp_path)).load(sn.topologies.create("diagonal"))


def test_source_that_takes_too_long_to_parse_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LARGEST", 100)
    (tmp_path / "long.py").write_text("a = b + c\n" * 11)
    (tmp_path / "short.py").write_text("a = b + c\n" * 10)
    assert len(parse(tmp_path / "short.py").body) == 10
    with pytest.raises(SyntaxError, match=r"long\.py: 110 bytes of source, more than 100 bytes"):
        parse(tmp_path / "long.py")
    assert len(python_files(tmp_path)) == 2


def test_no_memory_for_a_file_is_said_with_its_name(tmp_path, monkeypatch):
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress(b"a"))

    def fail(*args):
        raise MemoryError

    monkeypatch.setattr(reading.gzip.GzipFile, "read", fail)
    with pytest.raises(MemoryError, match=r"out of memory reading .*x\.txt\.gz"):
        sn.read_bytes(path)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no file that can't be read")
def test_a_file_that_opens_and_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "x.py"
    path.symlink_to("/proc/self/mem")
    with pytest.raises(OSError, match=r"x\.py"):
        parse(path)
