"""completion: what completes the words of a shell's command line, and its installation."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from structnet.cli.candidates import candidates
from structnet.cli.typed import split, within
from structnet.system.files import write_bytes
from structnet.system.terminal import visible
from structnet.system.words import take_flag, take_values

BASH = """\
# Completes the words of structnet in bash.
_structnet() {
    local IFS=$'\\n'
    compopt -o nospace 2>/dev/null
    COMPREPLY=($(structnet completion bash --breaks "$COMP_WORDBREAKS" -- \
"${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
}
complete -F _structnet structnet
"""
ZSH = """\
# Completes the words of structnet in zsh.
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_structnet() {
    local line
    local -a found said
    for line in "${(@f)$(structnet completion zsh -- \
"${(@Q)words[2,CURRENT-1]}" "$QIPREFIX$PREFIX" 2>/dev/null)}"; do
        line=${line#"$QIPREFIX"}
        [[ -n $line ]] && found+=("${line%%$'\\t'*}") && said+=("${line/$'\\t'/  }")
    done
    compadd -Q -S '' -l -d said -a found
}
compdef _structnet structnet
"""
FISH = """\
# Completes the words of structnet in fish.
function __structnet_words
    set -l words (commandline -opc) (commandline -ct)
    structnet completion fish -- $words[2..] 2>/dev/null
end
complete -c structnet -f -a '(__structnet_words)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
# Where each shell looks when it starts, and the line that it needs there; fish needs none.
STARTS = {"bash": ".bashrc", "zsh": ".zshrc"}


def run(words: list[str]) -> int:
    asked = "--" in words
    typed = words[words.index("--") + 1 :] if asked else []
    words = words[: words.index("--")] if asked else words
    breaks = "".join(take_values(words, "--breaks"))
    install = take_flag(words, "--install")
    if len(words) != 1 or words[0] not in SCRIPTS:
        raise ValueError(
            f"completion of which shell? Write one of {', '.join(SCRIPTS)}, and --install to have "
            "it read when the shell starts"
        )
    shell = words[0]
    if asked:
        print("\n".join(_answers(shell, typed, breaks)))
    elif install:
        _install(shell)
    else:
        print(SCRIPTS[shell], end="")
    return 0


def _answers(shell: str, typed: Sequence[str], breaks: str) -> list[str]:
    """The lines that a shell reads its candidates from."""
    if shell != "bash":
        *before, last = typed or [""]
        words, opened, _ = split(last)
        word = " ".join(words)
        found = candidates([*before, word])
        if shell == "fish":
            return [_line(one.word.rstrip(" "), one.meaning) for one in found]
        # Zsh keeps the candidates that begin as the word was typed. A backslash at the end is the
        # next sign's.
        if opened != "'" and (len(last) - len(last.rstrip("\\"))) % 2:
            last = last[:-1]
        return [_line(last + _rest(one.word[len(word) :], opened), one.meaning) for one in found]
    (_, *words), opened, begun = split(typed[0] if typed else "structnet ")
    if opened:
        # Bash replaces what follows the quote, and closes it after the only candidate.
        return [within(one.word[begun:].rstrip(" "), opened) for one in candidates(words)]
    last = words[-1] if words else ""
    # Bash replaces what follows the last sign that parts words for it.
    kept = max((last.rfind(sign) for sign in breaks if sign in "=:"), default=-1) + 1
    return [_escaped(one.word[kept:]) for one in candidates(words)]


def _line(word: str, meaning: str) -> str:
    return f"{word}\t{visible(meaning)}" if meaning else word


def _rest(rest: str, opened: str) -> str:
    """The rest of a word, after what was typed, with the end of a quote that is open there."""
    if not opened:
        return _escaped(rest)
    end = f"{opened} " if rest.endswith(" ") else ""
    return within(rest.removesuffix(" "), opened) + end


def _escaped(word: str) -> str:
    """A word as it is typed, with a space at its end where it has one."""
    whole = word.endswith(" ")
    typed = re.sub(r"([^\w@%+=:,./~-])", r"\\\1", word.removesuffix(" "))
    return f"{typed} " if whole else typed


def _install(shell: str) -> None:
    """Write the script, and a line that reads it into the file that the shell starts with."""
    home, start = Path.home(), None
    if not os.environ.get("HOME") or not home.is_dir():
        raise FileNotFoundError(f"no home folder {str(home)!r}: set the environment variable HOME")
    if shell == "fish":
        path = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish/completions"
        path = (path / "structnet.fish").absolute()
    else:
        path = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share") / "structnet"
        path = (path / f"completion.{shell}").absolute()
        start = _start(shell, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, SCRIPTS[shell].encode())
    print(visible(f"wrote {path}"))
    if start is not None:
        _read_at_start(start, path)
    print(f"new shells of {shell} complete the words of structnet")


def _start(shell: str, home: Path) -> Path:
    """The file that a shell starts with; OSError for one that can't be added to."""
    folder = os.environ.get("ZDOTDIR") if shell == "zsh" else None
    start = Path(folder or home) / STARTS[shell]
    if start.is_dir() or (start.is_symlink() and not start.exists()):
        what = "a folder" if start.is_dir() else "a link to nothing"
        raise OSError(f"{start} is {what}, and not the file that {shell} starts with: mend it")
    return start


def _read_at_start(start: Path, script: Path) -> None:
    """Add a line that reads the script, unless it is there."""
    line = f"source {quote(str(script))}"
    # In whatever encoding: only the end is added to.
    text = start.read_bytes() if start.exists() else b""
    if line.encode() in text.splitlines():
        return
    begun = "" if not text or text.endswith(b"\n") else "\n"
    # Not replaced, as it may be a link to a file that is kept elsewhere.
    with start.open("ab") as file:
        file.write(f"{begun}# Completion of structnet.\n{line}\n".encode())
    print(visible(f"added to {start}: {line}"))
