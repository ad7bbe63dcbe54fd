"""Samples in files that are mapped into memory, and are read when they are asked for."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.tables.features import parted

# The layout of the files: another one is made anew.
LAYOUT = 2
# The arrays that say how many rows of others each sample has: nodes, tokens, edges, bytes of text.
SIZES = ("nodes", "tokens", "links", "letters")


def store_folder(what: Mapping[str, Any]) -> Path:
    """The folder for what is made of data and options, under the one that STRUCTNET_CACHE names."""
    given = os.environ.get("STRUCTNET_CACHE", str(Path.home() / ".cache" / "structnet"))
    if not given:
        raise ValueError(
            "task.lazy keeps what it has read in the folder STRUCTNET_CACHE, which is set to none: "
            "name one with room for the data"
        )
    digest = sha256(json.dumps([LAYOUT, what], sort_keys=True, default=str).encode()).hexdigest()
    return Path(given).expanduser() / "data" / digest[:32]


class Writer:
    """Writes samples one part after the other; the folder appears once all is written.

    Used in a `with` statement: what is written is removed where it is left by an error.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.temporary = folder.with_name(f".{os.getpid()}-{folder.name}")

    def __enter__(self) -> "Writer":
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        self.files: dict[str, BinaryIO] = {}
        # By name of an array, the type of its values and the shape of a row.
        self.kinds: dict[str, list[Any]] = {}
        self.paths: dict[str, int] = {}
        return self

    def add(self, samples: Sequence[sn.Sample]) -> None:
        """Write the samples of a part, which have all that those before have."""
        for name, values in (_inputs(samples) | _structures(samples)).items():
            self._write(name, values)
        self._write("y", np.concatenate([np.atleast_1d(one.y) for one in samples]))
        if samples[0].condition is not None:
            self._write("condition", np.stack([one.condition for one in samples]))
        origins: list[Any] = [one.origin for one in samples]
        of = [self.paths.setdefault(str(one.path), len(self.paths)) for one in origins]
        texts = [one.text.encode(errors="surrogatepass") for one in origins]
        self._write("files", np.array(of, np.int32))
        self._write("lines", np.array([one.line for one in origins], np.int64))
        self._write("letters", np.array(list(map(len, texts)), np.int64))
        self._write("texts", np.frombuffer(b"".join(texts), np.uint8))

    def finish(self, split: NDArray[np.int8], plain: Mapping[str, Any]) -> None:
        """Write the split of every sample and plain data, and give the folder its name."""
        self._write("split", split)
        self._close()
        meta = {**plain, "paths": list(self.paths), "arrays": self.kinds}
        (self.temporary / "meta.json").write_text(json.dumps(meta))
        try:
            os.replace(self.temporary, self.folder)
        except OSError:
            # Another process has made the same.
            if not (self.folder / "meta.json").is_file():
                raise

    def _write(self, name: str, values: NDArray[Any]) -> None:
        """Write rows of an array after those that it has."""
        kind = [values.dtype.str, list(values.shape[1:])]
        if name not in self.files:
            self.files[name] = (self.temporary / f"{name}.bin").open("wb")
            self.kinds[name] = kind
        assert self.kinds[name] == kind, (name, kind, self.kinds[name])
        values.tofile(self.files[name])

    def _close(self) -> None:
        for file in self.files.values():
            file.close()

    def __exit__(self, *error: object) -> None:
        self._close()
        shutil.rmtree(self.temporary, ignore_errors=True)


def _inputs(samples: Sequence[sn.Sample]) -> dict[str, NDArray[Any]]:
    """What the nodes of all samples are given, as arrays by name."""
    found = {"nodes": np.array([one.num_nodes for one in samples], np.int64)}
    numbers, tokens = zip(*(parted(one.x) for one in samples), strict=True)
    if numbers[0] is not None:
        found["numbers"] = np.concatenate(numbers)
    if tokens[0] is not None:
        found["tokens"] = np.array([len(one.ids) for one in tokens], np.int64)
        found["ids"] = np.concatenate([one.ids for one in tokens]).astype(np.int64)
        found["counts"] = np.concatenate([np.diff(one.ptr) for one in tokens]).astype(np.int64)
    return found


def _structures(samples: Sequence[sn.Sample]) -> dict[str, NDArray[Any]]:
    """The edges of all samples and their features; none of sequences."""
    if not isinstance(samples[0].structure, sn.Edges):
        return {}
    edges = [one.structure.index for one in samples]
    found = {
        "links": np.array([one.shape[1] for one in edges], np.int64),
        "edges": np.concatenate(edges, 1).astype(np.int64).T,
    }
    if samples[0].edge_x is not None:
        found["edge_x"] = np.concatenate([one.edge_x for one in samples])
    return found


class Store:
    """What a `Writer` wrote: samples, and plain data.

    ValueError, which names the folder, for files that are not what they should be.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            self.plain: dict[str, Any] = json.loads((folder / "meta.json").read_text())
            self.arrays = {
                name: _mapped(folder / f"{name}.bin", *kind)
                for name, kind in self.plain["arrays"].items()
            }
            self.starts = {
                name: np.concatenate([[0], np.cumsum(self.arrays[name])])
                for name in SIZES
                if name in self.arrays
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{folder} is damaged: {error}; remove it, it is made again"
            ) from error

    def __reduce__(self) -> Any:
        # Another process maps the files itself.
        return Store, (self.folder,)

    def sample(self, at: int) -> sn.Sample:
        start, end = self._bounds("nodes", at)
        structure: Any = end - start
        edge_x = None
        if "links" in self.starts:
            links = self._bounds("links", at)
            edges = np.ascontiguousarray(self._rows("edges", *links).T)
            structure, edge_x = sn.Edges(edges, end - start), self._rows("edge_x", *links)
        condition = self._rows("condition", at, at + 1)
        text = self._rows("texts", *self._bounds("letters", at)).tobytes()
        path = self.plain["paths"][self.arrays["files"][at]]
        text = text.decode(errors="surrogatepass")
        return sn.Sample(
            structure,
            self._input(at, start, end),
            self._target(at, start, end),
            origin=sn.Origin(path, int(self.arrays["lines"][at]), text),
            condition=None if condition is None else condition[0],
            edge_x=edge_x,
        )

    def _input(self, at: int, start: int, end: int) -> Any:
        numbers = self._rows("numbers", start, end)
        if "ids" not in self.arrays:
            return numbers
        ptr = np.concatenate([[0], np.cumsum(self._rows("counts", start, end))])
        tokens = sn.Tokens(self._rows("ids", *self._bounds("tokens", at)), ptr)
        return tokens if numbers is None else sn.Mixed(tokens, numbers)

    def _target(self, at: int, start: int, end: int) -> NDArray[Any]:
        if self.plain["per_node"]:
            return self._rows("y", start, end)
        y = self._rows("y", at, at + 1)
        return y if y.ndim == 2 else y[0]

    def _bounds(self, name: str, at: int) -> tuple[int, int]:
        """Where the rows of a sample start and end."""
        start, end = self.starts[name][at : at + 2].tolist()
        return start, end

    def _rows(self, name: str, start: int, end: int) -> Any:
        """Rows of an array, no longer those of the file; None where it isn't there."""
        return np.array(self.arrays[name][start:end]) if name in self.arrays else None


class StoredSamples(Sequence[sn.Sample]):
    """Some of the samples of a store, by index, read when they are asked for."""

    def __init__(self, store: Store, indices: NDArray[np.int64]):
        self.store, self.indices = store, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        return self.store.sample(int(self.indices[at]))

    def targets(self) -> NDArray[Any]:
        """Those of all samples or of all their nodes, of which nothing else is read."""
        y = self.store.arrays["y"]
        if not self.store.plain["per_node"]:
            return y[self.indices]
        sizes = self.store.arrays["nodes"]
        mine = np.zeros(len(sizes), bool)
        mine[self.indices] = True
        return y[np.repeat(mine, sizes)]


def targets_of(samples: Sequence[sn.Sample]) -> NDArray[Any]:
    """The targets of samples or of their nodes, one after the other."""
    if isinstance(samples, StoredSamples):
        return samples.targets()
    return np.concatenate([np.atleast_1d(one.y) for one in samples])


def _mapped(path: Path, kind: str, shape: Sequence[int]) -> NDArray[Any]:
    """An array of a file; an empty one can't be mapped."""
    dtype = np.dtype(kind)
    if dtype.kind not in "iuf":
        raise ValueError(f"an array of {kind}, expected numbers")
    found = np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)
    return found.reshape(-1, *shape)
