"""Words offered while one types on a terminal."""

import codecs
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Offer = Callable[[str], Sequence[str]]
ENTER, ERASE, TAKE, LEAVE = "\r\n", "\x7f\b", "\t", "\x03\x04"
# Clears from the cursor on; moves up a line.
CLEAR, UP = "\x1b[J", "\x1b[A"
HELP = "Tab or 1 takes the first word, 2 the second; Enter begins anew; Ctrl-D ends."


def converse(offer: Offer) -> None:
    """Offer words for what is typed on the terminal, key by key, until Ctrl-C or Ctrl-D."""
    with _keys() as keys:
        session(keys, sys.stdout.write, offer)


def session(keys: Iterator[str], write: Callable[[str], object], offer: Offer) -> None:
    """The same for keys as they come, one or more at a time; the screen is written with `write`."""
    write(f"{HELP}\n")
    text, words = "", offer("")
    _show(write, text, words)
    for some in keys:
        # An arrow or another key that sends more than its character.
        if some.startswith("\x1b"):
            continue
        for key in some:
            if key in LEAVE:
                write(f"\r{CLEAR}> {text}\n")
                sys.stdout.flush()
                return
            if key in ENTER:
                write(f"\r{CLEAR}> {text}\n")
            text = typed(text, key, words)
        words = offer(text)
        _show(write, text, words)


def typed(text: str, key: str, words: Sequence[str]) -> str:
    """The text after a key, where these words are offered."""
    if key in ENTER:
        return ""
    if key in ERASE:
        return text[:-1]
    number = 1 if key == TAKE else int(key) if key in "123456789" else None
    if number is None:
        return text + key if key.isprintable() else text
    if number > len(words):
        return text
    # What was typed of the word is part of the word.
    kept = next(i for i in range(len(text) + 1) if words[number - 1].startswith(text[i:]))
    return f"{text[:kept]}{words[number - 1]} "


def _show(write: Callable[[str], object], text: str, words: Sequence[str]) -> None:
    """Write the line, its end where it is too long, and the words below it."""
    width = shutil.get_terminal_size().columns
    line = f"> {text}"[-(width - 1) :]
    below = "   ".join(f"{at} {word}" for at, word in enumerate(words, start=1))[: width - 1]
    write(f"\r{CLEAR}{line}\n{below}\r{UP}")
    write(f"\x1b[{len(line)}C")
    sys.stdout.flush()


@contextmanager
def _keys() -> Iterator[Iterator[str]]:
    """The keys of the terminal as they are pressed, Ctrl-C among them; its mode is put back."""
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        mode = termios.tcgetattr(number)
        mode[3] &= ~termios.ISIG
        termios.tcsetattr(number, termios.TCSADRAIN, mode)
        yield _read(number)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _read(number: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while data := os.read(number, 1024):
        if keys := decoder.decode(data):
            yield keys
