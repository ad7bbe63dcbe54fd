"""translate: what a trained encoder and decoder writes about texts, such as their translation."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structnet as sn

HELP = """\
structnet translate run=DIR text=TEXT | file=FILE: what an encoder and decoder writes about texts

  run=DIR         the directory of a run of net=seq2seq, such as one of task=translation
  text=TEXT       a text; may be repeated
  file=FILE       a text file with one text per line; blank lines stay blank
  beam=N          the beams of the search (as in training: task.beam)
  penalty=P       the power of its length penalty (task.penalty)
  n=N             how many of the best are shown of each text (1); at most as many as beams
  out=FILE        a file for what is written, one line per text
  attention=FILE.png
                  a picture of what the net attended to; of one text
  --json          machine-readable output, with log-probabilities in nats
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Texts are what the task reads: sentences of task=translation, expressions of task=expressions,
symbols of task=reverse, sort and copy.
"""
FLAGS = ("--json",)
KNOWN = ("file", "beam", "penalty", "n", "out", "attention")


def run(words: list[str]) -> int:
    as_json = sn.take_flag(words, "--json")
    given = sn.take_repeated(words, "text")
    options = sn.take_options(words, ("run",), KNOWN, also=("text",))
    if given and "file" in options:
        raise ValueError("text= and file= are both given: take one of them")
    if not given and "file" not in options:
        raise ValueError("give texts to translate: text=TEXT, which may be repeated, or file=FILE")
    n = sn.whole(options.get("n", "1"), "n")
    beam = sn.whole(options["beam"], "beam") if "beam" in options else None
    penalty = _number(options["penalty"]) if "penalty" in options else None
    if n > 1 and not as_json and "out" in options:
        raise ValueError(f"out={options['out']} has one line per text: leave out n={n}, or out")
    picture = _picture(options, len(given))
    out = _out(options)
    texts = _texts(given, options)

    from structnet.plugins.sequence.translation.task import Transduction

    directory = options["run"]
    opened = sn.Run.open(directory)
    task: Any = opened.task
    if not isinstance(task, Transduction):
        raise ValueError(
            f"the run in {directory} is of task {opened.config['task']['name']!r}, which writes no "
            "text about another: train with task=translation and net=seq2seq"
        )
    net: Any = opened.load_net()
    if picture is not None and net.decoder.attention is None:
        raise ValueError(
            f"the net of {directory} has no attention to draw: leave out attention=, or train with "
            "net.attention=additive"
        )
    beams = task.beam if beam is None else beam
    if n > beams:
        raise ValueError(f"n={n} texts are the best of at least as many beams, got beam={beams}")
    found = _write(opened, net, texts, beams, penalty)
    _show(task, texts, found, n, as_json, out)
    if picture is not None:
        _draw(opened, net, texts[0], found[0], picture)
    return 0


def _texts(given: Sequence[str], options: dict[str, str]) -> list[sn.Origin]:
    if "file" not in options:
        return [sn.Origin("text", number, text) for number, text in enumerate(given, start=1)]
    path = Path(options["file"])
    lines = sn.read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n")
    if not any(map(str.strip, lines)):
        raise ValueError(f"{path} has no texts: all lines are blank")
    return [sn.Origin(path, number, line) for number, line in enumerate(lines, start=1)]


def _write(run: Any, net: Any, texts: Sequence[sn.Origin], beam: int, penalty: Any) -> list[Any]:
    """The hypotheses of every text, best first; none of a blank line of a file."""
    import torch

    # A blank line of a file stays blank, an empty text= is a mistake.
    are_read = [bool(one.text.strip()) or one.path == "text" for one in texts]
    read = run.task.read_text
    samples = [
        read(one, run.topology) for one, is_read in zip(texts, are_read, strict=True) if is_read
    ]
    batches: Any = sn.loader(
        samples, run.topology, batch_nodes=run.config["trainer"]["batch_nodes"]
    )
    found: dict[int, Any] = {}
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            found.update(zip(indices, run.task.write(net, batch, beam, penalty), strict=True))
    written = iter([found[index] for index in range(len(samples))])
    return [next(written) if is_read else [] for is_read in are_read]


def _show(
    task: Any,
    texts: Sequence[sn.Origin],
    found: Sequence[Sequence[Any]],
    n: int,
    as_json: bool,
    out: Path | None,
) -> None:
    if as_json:
        rows = [
            {"text": one.text, "written": [_as_dict(task, each) for each in best[:n]]}
            for one, best in zip(texts, found, strict=True)
        ]
        lines = json.dumps(rows, indent=1).split("\n")
    elif n == 1:
        lines = [task.text(best[0]) if best else "" for best in found]
    else:
        lines = [f"{each.log_prob:8.3f}  {task.text(each)}" for best in found for each in best[:n]]
    if out is None:
        print("\n".join(map(sn.visible, lines)))
        return
    text = "".join(f"{line}\n" for line in lines)
    sn.write(out, lambda path: path.write_text(text, encoding="utf-8"))
    print(sn.visible(f"written: {out} ({len(texts)})"))


def _as_dict(task: Any, one: Any) -> dict[str, Any]:
    return {"text": task.text(one), "log_prob": one.log_prob, "score": one.score}


def _out(options: dict[str, str]) -> Path | None:
    """The file to write to, if one is asked for; an error before the net runs where it can't be."""
    if "out" not in options:
        return None
    path = Path(options["out"])
    if path.is_dir():
        raise ValueError(f"out={path} is a folder: name a file")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {path.absolute().parent} to write {path.name} to")
    return path


def _picture(options: dict[str, str], given: int) -> Path | None:
    """The file of the picture, if one is asked for."""
    if "attention" not in options:
        return None
    if given != 1:
        raise ValueError("attention= is a picture of one text: give one text=TEXT with it")
    from structnet.plugins.files.images import check_picture

    return check_picture(Path(options["attention"]), "attention")


def _draw(run: Any, net: Any, text: sn.Origin, best: Sequence[Any], path: Path) -> None:
    from structnet.plugins.sequence.translation.picture import alignments

    sample = run.task.read_text(text, run.topology)
    tokens = run.task.tokens(best[0])
    (drawn,) = alignments(run.task, net, run.topology, [sample], [tokens])
    sn.write(path, drawn.save)
    print(sn.visible(f"picture: {path}"))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"penalty must be a number, at least 0, got {text!r}")
    return value
