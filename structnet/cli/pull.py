"""pull: a run from a repository of a hub, into a folder."""

from structnet.system.terminal import counted, visible
from structnet.system.words import command_line, take_options

# Files left out that are named.
NAMED = 10


def run(words: list[str]) -> int:
    options = take_options(words, required=("from", "out"))
    from structnet.run.needs import missing
    from structnet.sharing.pulling import RECORD, pull

    pulled = pull(options["from"], options["out"])
    print(visible(f"pulled: {pulled.address} into {options['out']} ({', '.join(pulled.names)})"))
    if pulled.others:
        named, more = map(visible, pulled.others[:NAMED]), len(pulled.others) - NAMED
        said = [*named, *([counted(more, "other")] if more > 0 else [])]
        print(f"left out, as no such file of a repository is taken: {', '.join(said)}")
    for sentence in missing(options["out"]):
        print(visible(sentence))
    print(
        f"the commit and the checksums are in {RECORD}; the same again, whatever is pushed later:"
    )
    print(" ", command_line("pull", f"from={pulled.address}", "out=DIR"))
    print("try next:")
    print(" ", command_line("test", f"run={options['out']}"))
    return 0
