"""A run: a task and a topology from its configuration, and a directory.

DIR/config.yaml          the composed configuration, plain data
DIR/model.safetensors    the best weights
DIR/config.json          what else is needed to rebuild the net: configuration, vocabulary and
                         what else the task learned from its data, and the same of a run whose
                         net is part of it (net.embeddings)
DIR/metrics.json         test, validation and baseline figures, and the monitored one's name
DIR/README.md            the model card: what was trained, on what, how, and how well
DIR/curve.png            the learning curve, from DIR/logs
DIR/samples/             pictures of what the net made after an epoch, if the task has them
DIR/checkpoints/         best.ckpt, last.ckpt, and in training the last but one, to resume from
DIR/manifest.json        SHA-256 checksums of the weights, checkpoints and other files
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import yaml
from safetensors.torch import save
from torch import nn

from structnet import DataWarning, registry
from structnet.data.task import Task
from structnet.data.vocabulary import Vocabulary
from structnet.execute.executor import find
from structnet.nn.pretrained import Pretrained
from structnet.nn.recurrence import Recurrence
from structnet.nn.sizes import Sizes
from structnet.nn.stepper import Stepper
from structnet.run.components import Config, check_chosen, check_joint, component, create, is_joint
from structnet.run.description import describe, embedded_config, listed
from structnet.run.directories import directory_for, part_names
from structnet.run.manifest import PREVIOUS, Damaged, Manifest
from structnet.run.plain import read_json
from structnet.run.pretrained import folder_of, pretrained_of
from structnet.run.resuming import read_plain
from structnet.run.saved import read_metrics, saved_config, understood
from structnet.run.size import check_workers, refuse_large, without_memory
from structnet.run.weights import read_net
from structnet.system.files import write
from structnet.system.words import command_line
from structnet.topology.base import Topology

AUTO = {"executor": "auto"}


@dataclass(frozen=True)
class Run:
    """A composed configuration, its task and topology, and a directory.

    Arguments:
        directory: holds the run's files.
        config: the configuration, checked.
        task: the task that it names.
        topology: the topology that it names.
    """

    directory: Path
    config: Config
    task: Task
    topology: Topology

    @classmethod
    def compose(cls, config: Config, directory: Path) -> Self:
        """Create task and topology; ValueError or KeyError if one is unknown or they don't fit."""
        task = create(registry.tasks, config["task"])
        topology = create(registry.topologies, config["topology"])
        task.check(topology)
        check_chosen(config, task, topology)
        check_workers(config["trainer"])
        return cls(directory, config, task, topology)

    @classmethod
    def open(cls, directory: str | Path) -> Self:
        """The run that a directory holds; FileNotFoundError if there is none."""
        return cls.compose(saved_config(directory), Path(directory))

    @classmethod
    def new(cls, config: Config) -> Self:
        """A run in the directory that the configuration names, or in a new one, created here.

        ValueError if the directory that the configuration names is in use.
        """
        run = cls.compose(config, Path())
        return replace(run, directory=directory_for(config))

    @property
    def parts(self) -> list[str]:
        """The names of topology and cell, or of a net that uses none."""
        return part_names(self.config)

    @property
    def executor(self) -> str:
        """The name of the executor that the net is configured with."""
        return self.config["net"].get("executor", "auto")

    @property
    def portable(self) -> dict[str, Any]:
        """Options with which the net runs on any machine: executor `auto` where its own may not.

        The numbers are the same by any executor. Options that only give initial weights, such as a
        file of word vectors, are left out.
        """
        given = getattr(registry.nets[self.config["net"]["name"]], "initial_options", ())
        initial = dict.fromkeys(given)
        known = self.executor in registry.executors
        return {**initial, **({} if known and not find(self.executor).needs_gpu else AUTO)}

    @cached_property
    def embedded(self) -> "Run | None":
        """The run whose net's states the net reads (net.embeddings=run:DIR); None for none."""
        given = self.config["net"].get("embeddings")
        if given is None:
            return None
        other = Run.open(folder_of(given))
        other.load_learned()
        return other

    @cached_property
    def pretrained(self) -> Pretrained | None:
        """Its net, words and sequences; None for none."""
        return None if self.embedded is None else pretrained_of(self, self.embedded)

    @property
    def checkpoints(self) -> Path:
        return self.directory / "checkpoints"

    @cached_property
    def manifest(self) -> Manifest:
        return Manifest(self.directory)

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def build_net(self, **options: Any) -> nn.Module:
        """The net with new weights; `options` replace those of the configuration.

        The task must have been loaded if its sizes depend on its data.
        """
        return self._build(self._sizes, **options)

    def check(self, resumed: bool = False) -> None:
        """Raise for what would fail in training, before any data is read.

        The net is built for the smallest vocabulary. Raises FileNotFoundError for missing data, and
        ValueError for a net that can't be built or trained.

        Arguments:
            resumed: whether the run is resumed; its executor is then replaced if it can't run.
        """
        options = self.portable if resumed else {}
        needs_gpu = not resumed and find(self.executor).needs_gpu
        if needs_gpu and self.config["trainer"]["accelerator"] == "cpu":
            raise ValueError(
                f"net.executor={self.executor} runs on a GPU, got trainer.accelerator=cpu; leave "
                "one of them out"
            )
        self.task.find()
        if resumed:
            self.load_learned()
        sizes = self._sizes
        # Other heads may need more classes than one, which stands for those not known yet.
        known = sizes.num_outputs or is_joint(self.config.get("head"))
        head = None if known else {"name": "softmax"}
        sizes = replace(sizes, num_outputs=max(1, sizes.num_outputs))
        if sizes.vocabulary is None and sizes.input_size is None:
            sizes = replace(sizes, vocabulary=Vocabulary({}))
        build = partial(self._build, sizes, head, **options)
        # None if the net depends on data that the task has not loaded yet.
        if (net := without_memory(build)) is not None:
            refuse_large(net, self.config)
        # After the net, which may say better why it takes no such head.
        check_joint(self.config, self.task, self.topology)

    @property
    def _sizes(self) -> Sizes:
        task = self.task
        return Sizes(
            task.vocabulary,
            task.input_size,
            task.num_outputs,
            task.sees,
            task.condition,
            task.edge_size,
            task.parts,
            task.transitions,
            apart=task.apart,
            pretrained=self.pretrained,
        )

    def _build(self, sizes: Sizes, head: Config | None = None, **options: Any) -> nn.Module:
        if sizes.num_outputs < 1:
            raise ValueError(
                f"task {self.config['task']['name']!r} has no classes to predict: set `classes`, "
                "in `load` at the latest"
            )
        readout = self.config.get("readout") or {"name": self.task.readout(self.topology)}
        given: Config | None = head or self.config.get("head")
        scored: Config = given or {"name": self.task.head(self.topology)}
        net = create(
            registry.nets,
            {**self.config["net"], **options},
            sizes,
            self.topology,
            component(registry.cells, self.config["cell"]),
            component(registry.readouts, readout),
            component(registry.heads, scored),
        )
        # A run that is resumed has to give the same numbers: training says when it compiles.
        for module in net.modules():
            if isinstance(module, Recurrence):
                module.compiles = False
        return net

    def save_config(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(dict(self.config), sort_keys=False)
        write(self.directory / "config.yaml", lambda path: path.write_text(text))

    def save_net(self, net: nn.Module) -> None:
        state = {name: value.contiguous() for name, value in net.state_dict().items()}
        self.manifest.write("model.safetensors", save(state))

    def save_description(self) -> None:
        self._save_checked("config.json", describe(self))

    def save_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Save the figures of a finished run, and remove the last but one checkpoint."""
        self._save_checked("metrics.json", {**metrics, **listed(self)})
        self.manifest.remove(PREVIOUS)

    def read_metrics(self) -> dict[str, Any]:
        """The saved figures; empty if there are none."""
        return read_metrics(self.directory)

    def load_net(self) -> nn.Module:
        """The saved net, which brings the task what it learned; FileNotFoundError if none is."""
        for name in ("model.safetensors", "config.json"):
            if not (self.directory / name).is_file():
                raise FileNotFoundError(
                    f"no model in {self.directory}: it has no {name}; if the run was stopped, "
                    f"go on with: {command_line('train', f'resume={self.directory}')}"
                )
        self.load_learned()
        if self.executor not in registry.executors:
            message = f"there is no executor {self.executor!r} of {self.directory}; auto runs"
            warnings.warn(message, DataWarning, stacklevel=2)
        return read_net(self.manifest, partial(self.build_net, **self.portable))

    def stepper(self, batch: int = 1) -> Stepper:
        """The saved net fed one step at a time; ValueError for a net that is not one of chains."""
        net: Any = self.load_net()
        if not hasattr(net, "stepper"):
            raise ValueError(
                f"net {self.config['net']['name']!r} of {self.directory} has no stepper: train one "
                "that has, such as net=stack"
            )
        return net.stepper(batch)

    def load_learned(self) -> None:
        """Give the task the words and all else that the net was trained with."""
        try:
            self.manifest.read("config.json")
        except Damaged as error:
            raise Damaged(f"{error}; get it from a copy, or start the run again") from error
        file = self.directory / "config.json"
        self._understand(read_json(file), file)

    def _understand(self, described: Any, file: Path) -> None:
        """Take over what `described` gave; ValueError names the file that holds it."""
        words, learned = understood(described, self.task.learned, file)
        self.task.know(None if words is None else Vocabulary(words), learned)
        if self.config["net"].get("embeddings") is not None:
            inner = described.get("embedded")
            other = Run.compose(embedded_config(inner, file), Path())
            other._understand(inner, file)
            vars(self)["embedded"] = other
            vars(self).pop("pretrained", None)

    def _save_checked(self, name: str, value: Any) -> None:
        self.manifest.write(name, (json.dumps(value, indent=1) + "\n").encode())

    def load_checkpoint(self, net: nn.Module, name: str) -> None:
        """Load the weights of a checkpoint into the net."""
        state = self.read_checkpoint(name)["state_dict"]
        prefix = "net."
        net.load_state_dict(
            {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}
        )

    def read_checkpoint(self, name: str) -> dict[str, Any]:
        """The plain data of a checkpoint; ValueError if it holds other objects or is damaged."""
        return read_plain(self.manifest, f"{self.checkpoints.name}/{name}")
