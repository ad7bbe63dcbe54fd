"""XML: predict the next character of generated documents."""

from string import ascii_lowercase

import numpy as np

import structnet as sn
from structnet.plugins.sequence.tasks.characters import Characters, Text

# The largest value of both options: thousands of longer documents would not fit in memory.
MOST = 10_000


@sn.tasks.register("xml")
class XML(Characters):
    """The next character of synthetic XML: a closing tag repeats a name read long before.

    Jozefowicz et al. (2015), section 3.5. At every step, with equal probability, a new tag is
    opened, or the tag opened last is closed; the document ends if there is none. After `iterations`
    steps all open tags are closed. A name has 2 to `name_length` random lowercase letters. Empty
    documents are drawn again. Every character but the first is to be predicted, and after the last
    one the `<` of the next document, as the paper reads a stream of documents; here every document
    starts from a fresh state.

    Arguments:
        iterations: the largest number of random steps.
        name_length: the largest number of letters in a tag's name.
    """

    def __init__(
        self,
        *,
        iterations: int = 50,
        name_length: int = 10,
        train_size: int = 5_000,
        **options: int,
    ):
        super().__init__(ascii_lowercase + "</>", train_size=train_size, **options)
        if iterations < 1:
            raise ValueError(f"option 'iterations' is at least 1, got {iterations}")
        for option, value in (("iterations", iterations), ("name_length", name_length)):
            if value > MOST:
                raise ValueError(f"option {option!r} is at most {MOST}, got {value}")
        if name_length < 2:
            raise ValueError(f"option 'name_length' is at least 2, got {name_length}")
        self.iterations, self.name_length = iterations, name_length

    def draw(self, count: int, random: np.random.Generator) -> list[Text]:
        return [Text(f"{self._document(random)}<", 1) for _ in range(count)]

    def _document(self, random: np.random.Generator) -> str:
        opens = []
        # Half of the draws are empty documents.
        while not opens or not opens[0]:
            opens = (random.random(self.iterations) < 0.5).tolist()
        lengths = random.integers(2, self.name_length, self.iterations, endpoint=True).tolist()
        letters = random.integers(ord("a"), ord("z"), sum(lengths), np.uint8, endpoint=True)
        letters = letters.tobytes().decode()
        tags, names, used = [], [], 0
        for opened, length in zip(opens, lengths, strict=True):
            if opened:
                names.append(letters[used : used + length])
                used += length
                tags.append(f"<{names[-1]}>")
            elif names:
                tags.append(f"</{names.pop()}>")
            else:
                break
        # Close what is still open after the last iteration.
        return "".join(tags) + "".join(f"</{name}>" for name in reversed(names))
