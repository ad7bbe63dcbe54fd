"""A tag per word: parts of speech, features, chunks and entities."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.files.given import GivenSplits
from structnet.plugins.files.splits import SPLITS
from structnet.plugins.sequence.tagging import entities, measures
from structnet.plugins.sequence.tagging.corpora import (
    MAPS,
    Corpus,
    Tagset,
    corpus_folder,
    find_nltk,
    read_nltk,
)
from structnet.plugins.sequence.tagging.reading import (
    Layout,
    Lone,
    convert,
    shortened,
    split_sentences,
    unseen_tags,
)
from structnet.plugins.text.conllu import TAGS, features_of, is_conllu
from structnet.plugins.text.corpora import text_files
from structnet.plugins.text.sentences import Sentence, find_files
from structnet.plugins.text.splitting import draw_share
from structnet.plugins.text.tokenise import tokeniser


@sn.tasks.register("tagging")
class Tagging(GivenSplits):
    """The tag of every word of a sentence: its part of speech, a feature, a chunk or an entity.

    Sentences come from files in CoNLL-U, whose names end in .conllu; from files of columns, with a
    word per line and blank lines between sentences, as of CoNLL-2003; or from a corpus of NLTK.
    Files are in UTF-8, also packed by gzip. A folder has a file for each split, which the file's
    name says; of splits that are missing, each takes a tenth of the training sentences. Tags that
    training has not seen are named, and count as wrong.

    Arguments:
        root: the folder, or a file.
        corpus: in place of root, ewt or wnut17, English of Universal Dependencies and entities of
            tweets, in the folder that STRUCTNET_DATA names; or NLTK's treebank, brown or
            masc_tagged, in NLTK_DATA or in nltk_data/ of that folder.
        column: what is the tag: in CoNLL-U upos, xpos, deprel or a feature such as Number, by
            default upos; in columns a number from 1, by default the last.
        word_column: in columns, which is the word, from 1 on.
        tagset: of a corpus of NLTK, its own tags, or the universal ones that it maps them to.
        scheme: BIO or BIOES where tags are those of entities, which files may have in either, or in
            BILOU: what the net learns, and whether entities are counted; null for other tags.
        lone_inside: whether an I- that has no entity of its kind to go on with is an error, refuse,
            or begins one, convert, as in the files of CoNLL-2003.
        tokens: how texts to predict are split into words, as with task=classification.
        lower: whether words are known in small letters; characters keep their capitals.
        min_count: how often a word must occur in the training split to be known.
        max_length: how many words of a sentence are read; null for all.
        share: the share of the training sentences that is learned from, as if there were no others.
        seed: which sentences are drawn, for a split that is not given and for the share.
    """

    structures = ("sequence",)

    def __init__(
        self,
        *,
        corpus: Corpus | None = None,
        column: str | None = None,
        word_column: int = 1,
        tagset: Tagset = "own",
        scheme: entities.Scheme | None = None,
        lone_inside: Lone = "refuse",
        tokens: Literal[
            "treebank", "words", "spaces", "characters", "wordpunct", "tweet"
        ] = "treebank",
        lower: bool = False,
        min_count: int = 1,
        max_length: int | None = None,
        share: float = 1.0,
        seed: int = 0,
        **options: Any,
    ):
        super().__init__(**options)
        least = {"min_count": (min_count, 1), "seed": (seed, 0), "max_length": (max_length, 1)}
        least["word_column"] = (word_column, 1)
        for option, (value, smallest) in least.items():
            if value is not None and value < smallest:
                raise ValueError(f"option {option!r} is at least {smallest}, got {value}")
        if not 0 < share <= 1:
            raise ValueError(f"option 'share' is above 0 and at most 1, got {share}")
        self.refuse_beside("corpus", corpus)
        if scheme is None and lone_inside != "refuse":
            raise ValueError(f"lone_inside={lone_inside} is for task.scheme=BIO or BIOES")
        if tagset != "own" and corpus not in MAPS:
            raise ValueError(f"tagset={tagset} is for task.corpus={', '.join(MAPS)}: leave it out")
        self.corpus: Corpus | None = corpus
        self.tagset: Tagset = tagset
        self.layout = Layout(column, word_column)
        self.scheme: entities.Scheme | None = scheme
        self.lone_inside: Lone = lone_inside
        self.tokeniser, self.lower, self.min_count = tokeniser(tokens), lower, min_count
        self.max_length, self.share, self.seed = max_length, share, seed
        self.monitor = "accuracy" if scheme is None else "f1"

    @property
    def transitions(self) -> Any:
        """Which tags may follow which, by the scheme."""
        if self.scheme is None or not self.classes:
            return None
        return entities.transitions(self.classes, self.scheme)

    @property
    def unseen(self) -> Sequence[str]:
        loaded: sn.Splits | None = vars(self).get("loaded")
        return () if loaded is None else loaded.source

    @property
    def entity_kinds(self) -> list[str] | None:
        """The kinds of entities, sorted; None where tags are others."""
        if self.scheme is None:
            return None
        tags = {*self.classes, *self.unseen} - {entities.OUTSIDE}
        return sorted({entities.part(tag).kind for tag in tags})

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def find(self) -> dict[str, Path] | None:
        """The files of the splits; None for one of NLTK's corpora."""
        if self.corpus is not None and self.corpus in MAPS:
            find_nltk(self.corpus, self.tagset)
            return None
        if self.corpus is not None:
            return find_files(corpus_folder(self.corpus))
        if not (given := self.paths()):
            raise FileNotFoundError(
                "no sentences are given: set task.root=FILE_OR_FOLDER, or task.corpus=treebank for "
                "a corpus of NLTK"
            )
        if "all" in given:
            return find_files(given["all"])
        for path in given.values():
            sn.check_file(path)
        return given

    def load(self, topology: sn.Topology) -> sn.Splits:
        sentences = self._sentences()
        classes = list(self.classes) or self._classes(sentences["train"])
        unseen = unseen_tags(sentences, classes)
        vocabulary = self.vocabulary
        if vocabulary is None:
            words = (self._key(word) for one in sentences["train"] for word in one.words)
            vocabulary = sn.Vocabulary.count(words, self.min_count)
        numbers: dict[str | None, int] = {tag: at for at, tag in enumerate((*classes, *unseen))}
        splits = {
            split: [self._sample(one, vocabulary, numbers) for one in some]
            for split, some in sentences.items()
        }
        return sn.Splits(splits, vocabulary=vocabulary, source=unseen, classes=classes)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The sentences of a file or of all files of a folder, without their tags."""
        assert self.vocabulary is not None
        for file in text_files(path):
            found = self.layout.read(file, labelled=False)
            for sentence in shortened(found, self.max_length, str(file)):
                yield self._sample(sentence, self.vocabulary)

    def read_text(self, text: Any, topology: sn.Topology) -> sn.Sample:
        assert self.vocabulary is not None
        words = tuple(self._words(text.text))
        if not words:
            raise ValueError(
                f"{text.path}, line {text.line}: {text.text[:40]!r} has no words: leave it out"
            )
        whole = Sentence(text.path, words, (None,) * len(words), (text.line,) * len(words))
        (sentence,) = shortened([whole], self.max_length, text.path)
        return self._sample(sentence, self.vocabulary)

    def node_names(self, sample: sn.Sample) -> Sequence[str] | None:
        origin = sample.origin
        if origin is None or isinstance(origin, Sentence):
            return None if origin is None else origin.words
        return self._words(origin.text)[: self.max_length]

    def spans(self, labels: Sequence[str]) -> Sequence[tuple[int, int, str]] | None:
        return None if self.scheme is None else entities.read_entities(labels)

    def metrics(self) -> dict[str, Any]:
        return measures.metrics(self.entity_kinds)

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        # Of nodes that are scored together, the output is their most probable classes.
        labels = output if output.ndim == 1 else output.argmax(1)
        if output.ndim == 1:
            output = nn.functional.one_hot(labels, len(self.classes)).float()
        found = {"accuracy": (output, batch.y)}
        if (kinds := self.entity_kinds) is None:
            return found
        tags = [*self.classes, *self.unseen]
        # A word without a tag is in no entity.
        true = [entities.OUTSIDE if y == sn.IGNORE else tags[y] for y in batch.y.tolist()]
        said = [tags[label] for label in labels.tolist()]
        pairs = (
            (entities.read_entities(said[a:b]), entities.read_entities(true[a:b]))
            for a, b in pairwise(batch.ptr.tolist())
        )
        counts = measures.counts(pairs, kinds).to(output.device)
        return found | dict.fromkeys(measures.names_of(kinds), (counts[:, :2], counts[:, 2]))

    def baselines(self) -> dict[str, dict[str, float]]:
        """A word's most frequent tag, and NLTK's perceptron tagger."""
        from structnet.plugins.sequence.tagging.baselines import figures_of, taggers

        train, test = (self._origins(split) for split in ("train", "test"))
        fitted = taggers([one.tagged for one in train if one.tagged])
        kinds = self.entity_kinds
        return {name: figures_of(tagger, test, kinds) for name, tagger in fitted.items()}

    def _origins(self, split: str) -> list[Any]:
        return [sample.origin for sample in self.loaded[split]]

    def _sentences(self) -> dict[str, list[Sentence]]:
        """The sentences of the splits, with the tags that are learned."""
        found = self.find()
        if self.corpus is not None and found is None:
            splits = {"all": list(read_nltk(self.corpus, self.tagset))}
        else:
            assert found is not None
            splits = {split: list(self.layout.read(path)) for split, path in found.items()}
            for split, some in splits.items():
                if not some:
                    raise ValueError(f"{found[split]} has no sentences")
        splits = split_sentences(splits, self.seed, self.folds)
        taken = draw_share([one.text for one in splits["train"]], self.share, self.seed)
        splits["train"] = [*compress(splits["train"], taken)]
        if (scheme := self.scheme) is not None:
            splits = {
                split: [convert(one, scheme, self.lone_inside) for one in some]
                for split, some in splits.items()
            }
        return {split: list(shortened(splits[split], self.max_length, split)) for split in SPLITS}

    def _classes(self, train: Sequence[Sentence]) -> list[str]:
        """The tags of the training split, sorted, that of no entity first."""
        tags = {tag for one in train for tag in one.tags if tag is not None}
        path, column = train[0].path, self.layout.column or "upos"
        if tags <= {"_"} and is_conllu(path):
            raise ValueError(
                f"{path}: no word has a tag in column {column!r}: take one of {', '.join(TAGS)}, "
                f"or of its features {', '.join(features_of(path)) or '(none)'}"
            )
        return sorted(tags, key=lambda tag: (tag != entities.OUTSIDE, tag))

    def _key(self, word: str) -> str:
        """What a word is known as."""
        return word.lower() if self.lower else word

    def _words(self, text: str) -> list[str]:
        """The words of a text, with its own quotation marks unless the net knows the others."""
        assert self.vocabulary is not None
        known = self.vocabulary
        # The tokeniser treebank writes `` and '' for them.
        return [w if w in text or known[self._key(w)] else '"' for w in self.tokeniser(text)]

    def _sample(
        self,
        sentence: Sentence,
        vocabulary: sn.Vocabulary,
        numbers: Mapping[str | None, int] | None = None,
    ) -> sn.Sample:
        """A sample; its tags are IGNORE where they have no number."""
        x = vocabulary.tokens([(self._key(word),) for word in sentence.words], sentence.words)
        y = [(numbers or {}).get(tag, sn.IGNORE) for tag in sentence.tags]
        return sn.Sample(len(sentence.words), x, np.array(y, np.int64), origin=sentence)
