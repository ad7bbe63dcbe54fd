"""Captions: say in a given language what an image shows."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.sequence.captions.baselines import fit_captions
from structnet.plugins.sequence.captions.condition import Picture
from structnet.plugins.sequence.captions.picture import Sheet, Shown
from structnet.plugins.sequence.captions.samples import Samples
from structnet.plugins.sequence.captions.sources import (
    FILE,
    NAMES,
    Captioned,
    read_digits,
    read_folder,
    resized_images,
    split_images,
)
from structnet.plugins.sequence.captions.writing import Caption, write
from structnet.plugins.sequence.generation.starts import END, START
from structnet.plugins.sequence.generation.whole import right_texts

# The size of scikit-learn's digits.
DIGITS = 8
# The largest height and width that images are scaled to.
MOST_PIXELS = 512
# The most characters of a caption that a net writes.
MOST_CHARACTERS = 10_000


@sn.tasks.register("captions")
class Captions(GivenSplits):
    """Write what an image shows, character by character, in a language that is given as well.

    By default the images are scikit-learn's digits, and a caption is the digit's name in English,
    German, French, Spanish or Italian: every language for an image of the training split, one drawn
    at random for others. With `root`, the images of a folder with a file captions.tsv: lines of an
    image's file, a tab and the caption, and in all lines or none another tab and the caption's
    language; a tenth of the images each is for validation and test.

    "exact" is the share of captions that are written without a mistake when the most probable
    character is taken at every step, also by language; "accuracy" is the share of right characters
    after the true ones before.

    Arguments:
        root: the folder with images and captions.tsv; null for digits.
        size: the height and width that the images of a folder are scaled to.
        channels: 1 for grey, 3 for coloured images of a folder.
        seed: the seed of the random languages, or splits.
    """

    structures = ("sequence",)
    monitor = "exact"
    learned = ("languages", "longest")

    def __init__(
        self,
        *,
        size: int = 32,
        channels: Literal[1, 3] = 3,
        seed: int = 0,
        **options: Any,
    ):
        super().__init__(**options)
        if not 1 <= size <= MOST_PIXELS:
            raise ValueError(f"option 'size' is from 1 to {MOST_PIXELS}, got {size}")
        if seed < 0:
            raise ValueError(f"option 'seed' is at least 0, got {seed}")
        self.seed, own = seed, self.root is not None or self.split_paths["train"] is not None
        self.size, self.channels = (size, channels) if own else (DIGITS, 1)
        self.languages: list[str] = [] if own else list(NAMES)
        self.longest = 0

    def find(self) -> dict[str, Path]:
        """The folders of the splits, or of `all`; none for digits."""
        given = self.paths()
        for folder in given.values():
            if not (folder / FILE).is_file():
                raise FileNotFoundError(
                    f"no {FILE} in {folder}: task.root=FOLDER is a folder of images with a file "
                    f"{FILE} of their captions, or leave task.root out for digits"
                )
        if not given and self.folds.count is not None:
            raise ValueError("task.folds are for images of your own: set task.root=FOLDER")
        return given

    def know(self, vocabulary: sn.Vocabulary | None, learned: Any) -> None:
        languages, longest = learned.get("languages"), learned.get("longest")
        if languages is not None and not _are_names(languages):
            raise ValueError(f"learned, 'languages' must be a list of names, got {languages!r}")
        if longest is not None and not (type(longest) is int and 0 < longest <= MOST_CHARACTERS):
            raise ValueError(f"learned, 'longest' must be a number of characters, got {longest!r}")
        super().know(vocabulary, learned)

    @property
    def classes(self) -> Sequence[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The words of the vocabulary by their ids, after an empty one for what is not in it."""
        return [] if self.vocabulary is None else ["", *self.vocabulary.counts]

    @property
    def kinds(self) -> Sequence[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The languages, if there are several."""
        return self.languages if len(self.languages) > 1 else []

    @property
    def condition(self) -> Picture:  # pyright: ignore[reportIncompatibleVariableOverride]
        return Picture(self.channels, self.size, self.size, max(1, len(self.languages)))

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        if len(topology.directions) > 1:
            raise ValueError(
                f"captions are written from left to right, {sn.topologies.called(topology)} reads "
                "them in both directions: take topology=chain"
            )

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def load(self, topology: sn.Topology) -> sn.Splits:
        if given := self.find():
            read = partial(read_folder, size=self.size, channels=self.channels)
            images = {split: read(folder, known=self.languages) for split, folder in given.items()}
            found = split_images(images, self.seed, self.folds)
        else:
            found = read_digits(self.seed)
        languages, vocabulary, longest = self.languages, self.vocabulary, self.longest
        languages = languages or sorted({one.language for some in found.values() for one in some})
        if vocabulary is None:
            texts = [one.text or "" for one in found["train"]]
            marks = dict.fromkeys((START, END), len(texts))
            characters = sn.Vocabulary.count((c for text in texts for c in text), 1)
            vocabulary = sn.Vocabulary({**marks, **characters.counts})
            longest = max(map(len, texts))
        picture = self.condition._replace(languages=len(languages))
        samples = {
            split: Samples(some, picture, languages, vocabulary) for split, some in found.items()
        }
        return sn.Splits(
            samples, vocabulary=vocabulary, source=found, languages=languages, longest=longest
        )

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The user's PNG and JPEG files, each once for every language that the net writes."""
        assert self.vocabulary is not None
        asked = [
            Captioned(image, None, language, sn.Origin(file, 1, language))
            for file, image in resized_images(path, self.size, self.channels)
            for language in self.languages
        ]
        yield from Samples(asked, self.condition, self.languages, self.vocabulary)

    def answer(self, net: nn.Module, batch: sn.Batch) -> list[Caption]:
        """The caption of every sample, and its probability."""
        assert batch.condition is not None
        return write(net, self.classes, batch.condition, length=self._length)

    def generate(  # pyright: ignore[reportIncompatibleVariableOverride]
        self,
        net: nn.Module,
        topology: sn.Topology,
        *,
        n: int = 24,
        path: str | None = None,
        language: str | None = None,
        beam: int = 1,
    ) -> Sheet:
        """A picture of images with the captions that a net writes for them.

        Arguments:
            n: the number of images, the first ones of the test split or of the folder.
            path: an image of your own or a folder with some; by default the test images.
            language: of all captions; by default that of the test caption, or every language.
            beam: the number of texts that are followed at once; 1 takes the most probable character
                at every step.
        """
        if n < 1:
            raise ValueError(f"n is at least 1, got {n}")
        if language is not None and language not in self.languages:
            raise ValueError(f"no language {language!r} among {list(self.languages)}")
        if path is None:
            some = self.load(topology).source["test"][:n]
        else:
            images = islice(resized_images(Path(path).expanduser(), self.size, self.channels), n)
            every = self.languages if language is None else [language]
            some = [Captioned(image, None, one) for _, image in images for one in every]
        if language is not None:
            # What the caption would be in another language is not known.
            some = [one if one.language == language else
                    Captioned(one.image, None, language) for one in some]  # fmt: skip
        return self._sheet(net, some, beam)

    def illustrate(
        self, net: nn.Module, topology: sn.Topology, samples: Sequence[sn.Sample]
    ) -> dict[str, Any]:
        """The first images of the split with captions, the same ones every time."""
        return {"captions": self._sheet(net, self.loaded.source["validation"][:16], 1)}

    def metrics(self) -> dict[str, Any]:
        from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

        return {
            "exact": BinaryAccuracy(),
            "accuracy": MulticlassAccuracy(len(self.classes), average="micro"),
            **{language: BinaryAccuracy() for language in self.kinds},
        }

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        assert self.vocabulary is not None
        scores, right = right_texts(output, batch, [0, self.vocabulary[START]])
        wanted = torch.ones_like(right)
        of_kind = {name: batch.kind == index for index, name in enumerate(self.kinds)}
        return {
            "exact": (right, wanted),
            "accuracy": (scores, batch.y),
            **{name: (right[mine], wanted[mine]) for name, mine in of_kind.items()},
        }

    def baselines(self) -> dict[str, dict[str, float]]:
        source = self.loaded.source
        return fit_captions(source["train"], source["test"])

    @property
    def _length(self) -> int:
        """The most characters that are written: a quarter more than the longest caption has."""
        return self.longest + self.longest // 4

    def _sheet(self, net: nn.Module, some: Sequence[Captioned], beam: int) -> Sheet:
        languages, picture = list(self.languages), self.condition
        given = [picture.vector(one.image, languages.index(one.language)) for one in some]
        conditions = torch.from_numpy(np.stack(given))
        written = write(net, self.classes, conditions, length=self._length, beams=beam)
        return Sheet(
            [
                Shown(one.image, one.language if len(languages) > 1 else "", new.text, one.text)
                for one, new in zip(some, written, strict=True)
            ]
        )


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one) is str for one in value)
