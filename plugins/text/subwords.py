"""Sub-words by byte-pair encoding: learned from a text, kept as plain lists."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

Merge = Sequence[str]
# All bytes are sub-words, so that any text can be written in them.
BYTES = 256


class Subwords:
    """Splits text into sub-words, and puts it together again without loss.

    Byte-pair encoding of UTF-8 (Sennrich et al. 2016; bytes as in Radford et al. 2019, section
    2.2), by the library `tokenizers`. Words are split off first, a space belonging to the word
    after it, and no sub-word goes beyond a word or a line.

    Arguments:
        merges: the pairs of sub-words that are joined, most frequent first.
    """

    def __init__(self, merges: Sequence[Merge]):
        """ValueError for merges that are not pairs of known sub-words; ImportError."""
        tokenizers = _library()
        if not isinstance(merges, list | tuple):
            raise ValueError(f"sub-words are a list of merges, got {merges!r:.80}")
        pieces = dict.fromkeys(_bytes())
        for number, merge in enumerate(merges):
            if not (_is_pair(merge) and all(piece in pieces for piece in merge)):
                raise ValueError(
                    f"merge {number} of the sub-words, {merge!r:.80}, is not of two that are known"
                )
            pieces["".join(merge)] = None
        self.merges = [(first, second) for first, second in merges]
        self.pieces = list(pieces)
        numbered = {piece: number for number, piece in enumerate(self.pieces)}
        self.coder = tokenizers.Tokenizer(tokenizers.models.BPE(numbered, self.merges))
        self.coder.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.decoder = tokenizers.decoders.ByteLevel()
        self.bytes = _bytes()

    @classmethod
    def learn(cls, text: str, size: int) -> "Subwords":
        """The sub-words of a text, `size` of them, bytes included; ValueError for too few."""
        if size <= BYTES:
            raise ValueError(f"there are more than {BYTES} sub-words, those of bytes, got {size}")
        tokenizers = _library()
        coder = tokenizers.Tokenizer(tokenizers.models.BPE())
        coder.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer: Any = tokenizers.trainers.BpeTrainer(
            vocab_size=size,
            show_progress=False,
            initial_alphabet=list(_bytes()),
        )
        coder.train_from_iterator(text.splitlines(keepends=True), trainer)
        return cls(_merges(coder))

    def split(self, text: str) -> list[str]:
        """The sub-words of a text. Bytes are written as the characters of `tokenizers`.

        ValueError for what is not a character.
        """
        try:
            lines = self.coder.encode_batch(text.splitlines(keepends=True))
        except TypeError as error:
            raise ValueError(
                "the text has half of a surrogate pair, which is not a character: type it in UTF-8"
            ) from error
        return [piece for line in lines for piece in line.tokens]

    def characters(self, piece: str) -> int:
        """How many characters begin in a sub-word, so that those of a text add up."""
        # In UTF-8, the bytes of a character after its first are those from 0x80 to 0xBF.
        return sum(not 0x80 <= self.bytes[sign] < 0xC0 for sign in piece)

    def join(self, pieces: Iterable[str]) -> str:
        """The text of sub-words; parts of characters are shown as the replacement character."""
        return self.decoder.decode(list(pieces))


def _is_pair(merge: Any) -> bool:
    is_list = isinstance(merge, list | tuple)
    return is_list and len(merge) == 2 and all(isinstance(piece, str) for piece in merge)


def _merges(coder: Any) -> list[Merge]:
    import json

    # The library has no other way to read them.
    merges = json.loads(coder.to_str())["model"]["merges"]
    return [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]


def _bytes() -> dict[str, int]:
    """The byte of each character that stands for one.

    Printable characters of Latin-1 stand for themselves, the others from U+0100 on for the rest.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(BYTES) if byte not in printable]
    shown = {chr(byte): byte for byte in printable}
    return shown | {chr(0x100 + number): byte for number, byte in enumerate(others)}


def _library() -> Any:
    # Its threads would be cut off in the processes that load batches, which it warns of.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise ImportError(
            "sub-words are learned by the library tokenizers, which is not installed: pip install "
            "tokenizers, or install structnet with its extra 'subwords'"
        ) from error
    return tokenizers
