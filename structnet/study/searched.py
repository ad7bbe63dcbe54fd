"""What a search chooses from: the words of its runs, checked before the first is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from structnet.config.composing import compose
from structnet.config.fitting import fitting_words
from structnet.config.sweeping import Interval, space
from structnet.run.components import Config
from structnet.run.run import Run
from structnet.study.sweep import reason

Space = Mapping[str, Interval | list[str]]
# The width of a number of four digits, such as 0.0001234.
NUMBER = 9


@dataclass(frozen=True)
class Searched:
    """The words of a search, some of them with intervals or several values.

    Arguments:
        words: as typed.
        folders: with the user's own configuration files.
    """

    words: Sequence[str]
    folders: Sequence[str] = ()

    @cached_property
    def space(self) -> Space:
        """Key -> what is chosen from, for all words; ValueError for a mistake in one."""
        return space(self.words)

    @cached_property
    def varied(self) -> Space:
        """The same of the keys that have more than one value."""
        return {key: v for key, v in self.space.items() if isinstance(v, Interval) or len(v) > 1}

    @property
    def directory(self) -> Path | None:
        """The directory that the words name; ValueError if they name several."""
        named = self.space.get("run", [])
        if isinstance(named, Interval) or len(named) > 1:
            raise ValueError("a search has one directory: write run=DIR, or leave it out")
        return Path(named[0]).expanduser() if named else None

    def composed(self, values: Mapping[str, Any]) -> tuple[list[str], Config]:
        """The words of a run and their configuration; ValueError or KeyError if it has none.

        Arguments:
            values: key -> value, of those that vary.
        """
        texts = {key: self._text(key, values[key]) for key in self.varied}
        fixed = {key: v[0] for key, v in self.space.items() if isinstance(v, list)}
        fixed.pop("run", None)
        words = [f"{key}={text}" for key, text in {**fixed, **texts}.items()]
        words += fitting_words(words, self.folders)
        return words, compose(words, self.folders)

    def name(self, values: Mapping[str, Any]) -> str:
        """The words of a run that others do not share."""
        return " ".join(f"{key}={self._text(key, values[key])}" for key in self.varied)

    @property
    def width(self) -> int:
        """Of most names, in characters."""
        longest = [NUMBER if isinstance(v, Interval) else max(map(len, v))
                   for v in self.varied.values()]  # fmt: skip
        return sum(map(len, self.varied)) + sum(longest) + 2 * len(longest) - 1

    def configs(self) -> list[Config]:
        """Configurations with every value in turn, or end of an interval, and others' first ones.

        Raises ValueError or KeyError for a word that does not compose.
        """
        values = {key: [v.low, v.high] if isinstance(v, Interval) else v
                  for key, v in self.varied.items()}  # fmt: skip
        if not values:
            raise ValueError("nothing to search: no word has an interval or several values")
        first = {key: some[0] for key, some in values.items()}
        return [self.composed({**first, key: one})[1] for key in values for one in values[key]]

    def check(self) -> Run:
        """The run of one trial; ValueError if none can be trained, or if they can't be compared."""
        configs = self.configs()
        if any("compare" in config for config in configs):
            raise ValueError("the runs of a comparison are not searched: name another experiment")
        runs = [Run.compose(config, Path()) for config in configs]
        metrics = {run.task.monitor: run.config["task"]["name"] for run in runs}
        if len(metrics) > 1:
            given = ", ".join(f"{metric} of {task}" for metric, task in metrics.items())
            raise ValueError(f"the runs of a search are compared by one metric, got {given}")
        failed = []
        for run in runs:
            try:
                run.check()
                return run
            except (ValueError, LookupError, OSError) as error:
                failed.append(reason(error))
        raise ValueError(f"none of the runs can be trained: {failed[0]}")

    def _text(self, key: str, value: Any) -> str:
        values = self.varied[key]
        return values.text(value) if isinstance(values, Interval) else value
