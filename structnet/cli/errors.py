"""errors: which classes a run's net confuses, or how far its numbers are off; and the worst."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from structnet.cli.generate import checked
from structnet.system.files import write
from structnet.system.terminal import print_rows, visible
from structnet.system.words import take_flag, take_options, whole

# The pairs of classes that are shown.
PAIRS = 10
# The most characters of a text that are shown.
SHOWN = 60


def run(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    data = [word for word in words if word.startswith("task.")]
    others = [word for word in words if word not in data]
    options = take_options(others, ("run",), ("split", "top", "out"), also=("task.root",))
    top, split = whole(options.get("top", "20"), "top"), options.get("split", "test")
    out = _page(options["out"], as_json) if "out" in options else None
    from structnet.config.composing import override, saved
    from structnet.registry.suggest import did_you_mean
    from structnet.run.run import Run
    from structnet.training.misses import find_misses
    from structnet.training.mistakes import find_mistakes
    from structnet.training.samples import load_samples

    config = saved(options["run"])
    if data:
        config = override(config, data, "task")
    run = Run.compose(config, Path(options["run"]))
    net = run.load_net()
    splits = load_samples(run)
    if split not in splits:
        raise ValueError(f"no split {split!r} {did_you_mean(split, splits)}")
    of_numbers = run.task.predicts_numbers
    found: Any = (find_misses if of_numbers else find_mistakes)(run, net, splits[split], top)
    if out is not None:
        from structnet.draw.page import errors_page

        text = errors_page(run, net, splits[split], found, split)
        write(out, lambda path: path.write_text(text, encoding="utf-8"))
        what = "numbers" if of_numbers else "mistakes"
        print(visible(f"page: {out} ({len(found.worst)} {what})"))
    elif as_json:
        plain = _numbers_as_dict if of_numbers else _as_dict
        print(json.dumps(plain(found, split), indent=1))
    else:
        (_print_numbers if of_numbers else _print)(found, split)
    return 0


def _page(given: str, as_json: bool) -> Path:
    """The page to write; ValueError or OSError for one that can not be, before the net runs."""
    out = checked(Path(given), is_picture=False)
    if as_json:
        raise ValueError(f"out={given} with --json: take one of them")
    if out.suffix.lower() != ".html":
        raise ValueError(f"out must be a .html file, got {given}")
    return out


def _as_dict(found: Any, split: str) -> dict[str, Any]:
    pairs = found.confusions.most_common()
    return {
        "split": split,
        "decided": found.decided,
        "wrong": found.confusions.total(),
        "confusions": [{"class": a, "predicted": b, "count": count} for (a, b), count in pairs],
        "worst": [one.as_dict() for one in found.worst],
    }


def _print(found: Any, split: str) -> None:
    wrong = found.confusions.total()
    share = f" ({wrong / found.decided:.1%})" if found.decided else ""
    print(f"{wrong:,} of {found.decided:,} wrong in {split}{share}")
    if not wrong:
        return
    pairs = [[f"{n:,}", a, b] for (a, b), n in found.confusions.most_common(PAIRS)]
    print()
    print_rows(["times", "class", "taken for"], pairs, left=(1, 2))
    if len(found.confusions) > PAIRS:
        print(f"... {len(found.confusions) - PAIRS} more pairs; --json has all")
    print()
    rows = [
        [_text(one), f"{one.true} {one.true_probability:.3f}",
         f"{one.predicted} {one.probability:.3f}", _place(one, split)]
        for one in found.worst
    ]  # fmt: skip
    print_rows(["the worst", "class", "taken for", "where"], rows, left=(0, 1, 2, 3))
    if wrong > len(found.worst):
        print(f"... {wrong - len(found.worst):,} more; top=N shows N")


def _numbers_as_dict(found: Any, split: str) -> dict[str, Any]:
    return {
        "split": split,
        "off": [asdict(one) for one in found.spreads],
        "worst": [one.as_dict() for one in found.worst],
    }


def _print_numbers(found: Any, split: str) -> None:
    for one in found.spreads:
        print(visible(one.text(split)))
    if not found.worst:
        print(f"no number is known in {split}")
        return
    print()
    rows = [
        [", ".join(filter(None, (_text(one), visible(one.target or "")))), f"{one.true:.5g}",
         f"{one.predicted:.5g}", f"{one.off:+.3g}", _place(one, split)]
        for one in found.worst
    ]  # fmt: skip
    print_rows(["the furthest", "is", "predicted", "off by", "where"], rows, left=(0, 4))
    known = sum(one.known for one in found.spreads)
    if known > len(found.worst):
        print(f"... {known - len(found.worst):,} more; top=N shows N")


def _text(one: Any) -> str:
    """A node among those around it, or the text of a sample."""
    if one.around is not None:
        before, name, after = one.around
        return " ".join([*before, f"[{_cut(name)}]", *after]) if before or after else _cut(name)
    text = f"sample {one.sample}" if one.text is None else one.text
    return _cut(text) + ("" if one.node is None else f", node {one.node}")


def _cut(text: str) -> str:
    plain = visible(text)
    return plain if len(plain) <= SHOWN else f"{plain[:SHOWN]}..."


def _place(one: Any, split: str) -> str:
    if one.origin is None:
        return f"{split} sample {one.sample}"
    return visible(f"{one.origin.path}:{one.origin.line}")
