"""Task pyg opens folders of this machine alone, and runs nothing that lies in them."""

import builtins
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
import yaml
from commands import SMALL, call, refused
from test_pyg import create, write_tu

import structnet as sn

UNDIRECTED = sn.topologies.create("ordered_graph")


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


class Code:
    def __reduce__(self):
        return builtins.exec, ("import os; os.mkdir('harmed')",)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, with a dataset in data/ and what harms where it would be unpickled."""
    monkeypatch.chdir(tmp_path)
    create(write_tu(tmp_path / "data"))
    yield tmp_path
    assert not (tmp_path / "harmed").exists()


def poison(folder, harm=None):
    torch.save(harm or Harm(), folder / "RINGS" / "processed" / "data.pt")


ADDRESSES = (
    "file:data", "local:data", "file:{here}/data", "file://{here}/data", "local://{here}/data",
    "FILE:data", "File:{here}/data", "simplecache::data", "filecache::{here}/data",
    "blockcache::file:data", "simplecache::file:data", "filecache::local://{here}/data",
    "{here}/x::{here}/data", "dir::{here}/data", "reference::data", "memory://data",
    "zip://data::{here}/data", "github://a:b@/data", "http://127.0.0.1:9/data", "s3:data",
    "./simplecache::data", "../x::data", "a\0b",
)  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("harm", [None, Harm(), Code()])
def test_an_address_is_no_root(here, address, harm):
    if harm is not None:
        poison(here / "data", harm)
    with pytest.raises(ValueError, match="option 'root' is a folder of this machine"):
        create(address.format(here=here))


@pytest.mark.parametrize(
    "root", ["data", "./data", "linked", "sub/../data", "{here}/data", "{here}//data/", "a:b"]
)
def test_folders_are_taken_as_they_are_written_and_open_nothing_but_tensors(here, root):
    (here / "linked").symlink_to("data")
    (here / "sub").mkdir()
    (here / "a:b").symlink_to("data")
    root = root.format(here=here)
    assert create(f"./{root}" if root == "a:b" else root).input_size == 3
    for harm in (Harm(), Code(), (Harm(), {}, dict)):
        poison(here / "data", harm)
        with pytest.raises(ValueError, match=r"data\.pt holds more than tensors"):
            create(f"./{root}" if root == "a:b" else root)


def test_an_address_among_folder_names_is_only_a_name(here):
    (here / "file:data").symlink_to("data")
    poison(here / "data")
    with pytest.raises(ValueError, match=r"data\.pt holds more than tensors"):
        create("./file:data")
    with pytest.raises(ValueError, match="is a folder of this machine"):
        create("file:data")


@pytest.mark.parametrize("home", ["file:{here}", "simplecache::{here}"])
def test_a_home_folder_is_no_address_either(here, monkeypatch, home):
    poison(here / "data")
    monkeypatch.setenv("HOME", home.format(here=here))
    with pytest.raises((ValueError, FileNotFoundError)):
        create("~/data")


@pytest.mark.parametrize("file", ["data.pt", "pre_transform.pt", "pre_filter.pt"])
def test_a_pipe_is_no_file(here, file):
    path = here / "data" / "RINGS" / "processed" / file
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=rf"{file}: it is a pipe, a socket or a device"):
        create("data")


def test_a_link_to_a_device_is_no_raw_file(here):
    path = here / "data" / "RINGS" / "raw" / "RINGS_A.txt"
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"RINGS_A\.txt: it is a pipe, a socket or a device"):
        create("data")


def test_packed_arrays_that_unpack_to_too_much_are_named(here, monkeypatch):
    from structnet.system import reading

    monkeypatch.setattr(reading, "UNPACKED", 1000)
    raw = here / "Photo" / "raw"
    raw.mkdir(parents=True)
    np.savez_compressed(raw / "amazon_electronics_photo.npz", np.zeros(10_000))
    with pytest.raises(ValueError, match=r"photo\.npz, .* bytes, unpacks to 80"):
        create(here, dataset="Amazon", dataset_name="photo")


def test_a_packed_file_of_tensors_that_unpacks_to_too_much_is_named(here, monkeypatch):
    from structnet.system import reading

    path = here / "data" / "RINGS" / "processed" / "data.pt"
    torch.save((torch.zeros(10**6), {}, dict), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    monkeypatch.setattr(reading, "UNPACKED", 10**6)
    with pytest.raises(ValueError, match=r"data\.pt, .*, unpacks to 4\.0 MB"):
        create("data")


ARRAYS = {
    "Amazon": ("photo", "Photo/raw/amazon_electronics_photo.npz"),
    "Coauthor": ("CS", "CS/raw/ms_academic_cs.npz"),
    "CitationFull": ("Cora", "cora/raw/cora.npz"),
    "HeterophilousGraphDataset": ("Minesweeper", "minesweeper/raw/minesweeper.npz"),
    "GitHub": (None, "raw/github.npz"),
    "LastFMAsia": (None, "raw/lastfm_asia.npz"),
    "Twitch": ("DE", "DE/raw/DE.npz"),
}


@pytest.mark.parametrize("dataset", ARRAYS)
def test_objects_in_raw_arrays_are_not_unpickled(here, dataset):
    name, file = ARRAYS[dataset]
    (here / file).parent.mkdir(parents=True)
    names = ("attr_data", "node_features", "features", "edges", "target")
    np.savez(here / file, **dict.fromkeys(names, np.array([Harm()], object)))
    message = "allow_pickle|are pickles, which are not opened"
    with pytest.raises(ValueError, match=rf"{dataset}.*({message})"):
        create(here, dataset=dataset, dataset_name=name)


def test_a_pickle_under_any_name_is_refused_while_a_dataset_is_opened(here):
    from structnet.plugins.graph.pyg.guard import plain_loading

    (here / "x.pkl").write_bytes(pickle.dumps(Harm()))
    np.save(here / "x.npy", np.array([Harm()], object))
    torch.save(Harm(), here / "x.pt")
    from torch_geometric.io import fs

    def unpickle():
        with (here / "x.pkl").open("rb") as file:
            pickle.load(file)

    own = torch.load, pickle.load, fs.torch_load
    for attempt in (
        unpickle,
        lambda: pickle.loads((here / "x.pkl").read_bytes()),
        lambda: np.load(here / "x.npy", allow_pickle=True),
        lambda: torch.load(here / "x.pt", weights_only=False),
        lambda: torch.load(str(here / "x.pkl"), weights_only=False),
        lambda: fs.torch_load(str(here / "x.pt")),
        lambda: fs.torch_load(f"file:{here}/x.pt"),
    ):
        with plain_loading(), pytest.raises((ValueError, OSError, pickle.UnpicklingError)):
            attempt()
    assert own == (torch.load, pickle.load, fs.torch_load)


@pytest.mark.parametrize(
    "saved",
    [
        [],
        {},
        5,
        (1, 2, 3),
        ({"x": torch.zeros(2)}, None, dict),
        ({"edge_index": 5, "y": "text"}, {}, {}, dict),
    ],
)
def test_processed_files_of_another_form_are_named(here, saved):
    torch.save(saved, here / "data" / "RINGS" / "processed" / "data.pt")
    with pytest.raises(ValueError, match=r"TUDataset.* in .*data"):
        create("data")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edge_index": torch.tensor([[0], [99]])}, "edges of nodes that are not among"),
        ({"edge_index": torch.zeros(3, 2).long()}, r"no edge_index of shape \(2, E\)"),
        ({"edge_index": torch.zeros(2, 3)}, "torch.float32 edges"),
        ({"x": torch.zeros(3, 3), "num_nodes": 2}, "rows needed"),
        ({"y": "text"}, "y is str"),
        ({"edge_attr": torch.zeros(1)}, "rows needed"),
    ],
)
def test_graphs_that_do_not_hold_together_are_named(change, message):
    from torch_geometric.data import Data

    from structnet.plugins.graph.pyg.datasets import _check_graph

    good = {"edge_index": torch.tensor([[0, 1], [1, 0]]), "x": torch.zeros(2, 3),
            "y": torch.tensor([1])}  # fmt: skip
    _check_graph(Data(**good), "graph 0")
    with pytest.raises(ValueError, match=f"graph 0.*{message}"):
        _check_graph(Data(**{**good, **change}), "graph 0")


def test_no_folder_is_made_where_there_is_no_dataset(here):
    with pytest.raises(FileNotFoundError):
        create(here / "nothing")
    assert not (here / "nothing").exists()


@pytest.mark.parametrize("root", ["file:data", "simplecache::data", "data"])
def test_no_command_runs_what_a_run_points_to(here, root):
    words = ["task=pyg", "task.dataset=TUDataset", "task.dataset_name=RINGS", "task.root=data",
             "topology=ordered_graph", *SMALL, "debug=steps", "run=run"]  # fmt: skip
    status, _, err = call("train", *words)
    assert status == 0, err
    poison(here / "data")
    file = here / "run" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    config["task"]["root"] = root
    file.write_text(yaml.safe_dump(config))
    for words in (
        ["test", "run=run"],
        ["predict", "run=run", "path=data"],
        ["diagnose", "run=run"],
        ["generate", "run=run"],
        ["draw", "run=run"],
        ["train", "resume=run", "trainer.max_epochs=3"],
    ):
        message = refused(*words)
        assert "more than tensors" in message or "folder of this machine" in message, message
