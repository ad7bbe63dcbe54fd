"""Nets: an input layer, recurrences, a readout and a head."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.cell.call import States
from structnet.cell.reset import reset
from structnet.data.batch import Batch
from structnet.nn.apart import Apart, stacked
from structnet.nn.budget import count_parameters, largest
from structnet.nn.characters import Reader
from structnet.nn.condition import Condition, Reads
from structnet.nn.convolution import Convolution, Kind
from structnet.nn.head import Head, JointHead, Scores
from structnet.nn.input_layer import Input, input_layer, with_characters, with_tied
from structnet.nn.net_checks import check_apart, check_batch, check_embeddings, check_task
from structnet.nn.pretrained import with_contextual
from structnet.nn.readout import Readout
from structnet.nn.recurrence import Recurrence
from structnet.nn.sizes import Sizes
from structnet.nn.stack import Skip, Stack, total_penalty
from structnet.nn.stepper import Stepper, check_steps
from structnet.registry import cells, heads, nets, readouts, topologies
from structnet.registry.checked import Checked
from structnet.topology.base import Topology


class Upper(NamedTuple):
    """Everything above the input layer, for one hidden size."""

    before: Convolution | None
    stack: Stack | Apart
    after: Convolution | None
    readout: Readout
    head: Head


@nets.register("stack")
class Net(nn.Module, metaclass=Checked):
    """Layers of one recurrence on top of each other, a readout and a head.

    The input layer is the sum of the embeddings of a node's tokens, or a node's features as they
    are. Called with a `Batch`, the net returns the head's scores: (B, outputs), or (N, outputs) if
    the readout is per node. ValueError for a task or a batch that has what this net does not read.

    Arguments:
        sizes: what the task tells of its data.
        topology: a name or a topology.
        cell: a name, or a callable (input size, hidden size, arity) -> Cell.
        readout: a name, or a callable (size, number of directions) -> Readout.
        head: a name, or a callable (size, sizes) -> Head.
        input: what enters for a token: learned, an embedding; or onehot.
        vectors: a file of word vectors in the text format of word2vec or GloVe, from which the
            embeddings of its words are initialised; null for none.
        embeddings: run:DIR, a run over words whose net's states are joined to the embeddings: its
            layers weighted and scaled as in ELMo, the net itself frozen and saved with this one.
        tied: whether the head shares the embedding's weights.
        embedding_size: the size of a token's embedding, which is drawn from a normal distribution:
            of standard deviation 1 where tokens are seen 1,000 times on average and it is not tied,
            else of 0.3.
        characters: what reads how tokens are written, beside their embeddings, for a task that
            tells: cnn, a convolution, or lstm, one in both directions; null for nothing.
        character_size: the size of what it gives for a token; null for 64.
        hidden_size: the units of a layer in each direction.
        parameters: the largest number of parameters that the net may have; hidden_size is then the
            largest that keeps to it.
        num_layers: the number of layers, each on the outputs of the one below.
        before: a graph convolution of torch_geometric over the structure's edges, in both
            directions, below the recurrences: gcn, gat, gin or sage.
        after: one above them: gcn, gat, gin or sage.
        apart: whether each direction has a stack of its own; else every layer sees both of the one
            below. null for what the task needs.
        skip: how a layer's input goes past it: none, residual, highway, dense or input.
        dropout: the probability with which a feature that enters or leaves a layer is dropped.
        input_dropout: that of features that enter the first layer; null for `dropout`.
        output_dropout: that of features that leave the last layer; null for `dropout`.
        variational: whether the same features are dropped at all nodes of a sample.
        ar: the factor of activation regularisation: the mean square of what leaves the last layer.
        tar: that of its temporal form: the mean square of the change from step to step.
        word_dropout: a, by which a token seen n times in training is taken as unknown with
            probability a / (a + n).
        embedding_dropout: the probability with which a token's embedding is dropped in a whole
            batch.
        edges: whether layers read the features of edges, where the task has some.
        condition: where layers read what a sample is given beside its nodes, for a task that says:
            input, every node has it beside its own; initial, what chains start from.
        layer: options of every `Recurrence`.
    """

    # What `**layer` are.
    options_of: ClassVar = {
        Recurrence: (
            "recurrent_dropout", "zoneout", "weight_drop", "truncate", "executor", "save",
        )
    }  # fmt: skip
    before: Convolution | None
    stack: Stack | Apart
    after: Convolution | None
    readout: Readout
    head: Head
    # Options that only give initial weights: a saved net is built without them.
    initial_options: ClassVar = ("vectors",)

    def __init__(
        self,
        sizes: Sizes,
        topology: Topology | str,
        cell: Callable[[int, int, int | None], Cell] | str,
        readout: Callable[[int, int], Readout] | str,
        head: Callable[[int, Sizes], Head] | str = "softmax",
        *,
        input: Input = "learned",
        vectors: str | None = None,
        embeddings: str | None = None,
        tied: bool = False,
        embedding_size: int = 128,
        characters: Reader | None = None,
        character_size: int | None = None,
        hidden_size: int = 128,
        parameters: int | None = None,
        num_layers: int = 1,
        before: Kind | None = None,
        after: Kind | None = None,
        apart: bool | None = None,
        skip: Skip = "none",
        dropout: float = 0.3,
        input_dropout: float | None = None,
        output_dropout: float | None = None,
        variational: bool = False,
        ar: float = 0.0,
        tar: float = 0.0,
        word_dropout: float = 10.0,
        embedding_dropout: float = 0.0,
        edges: bool = True,
        condition: Reads = "input",
        **layer: Any,
    ):
        """ValueError for an option out of range."""
        super().__init__()
        check_task(sizes)
        check_embeddings(sizes, embeddings)
        apart = sizes.apart if apart is None else apart
        check_apart(sizes, apart, bool(before or after))
        self.edges, self.edge_size = edges, sizes.edge_size
        self.tied = tied
        dropouts = word_dropout, embedding_dropout
        self.embeddings, own = with_contextual(sizes)
        size, words = input_layer(own, input, embedding_size, dropouts, vectors, tied)
        sizes, read_by = with_tied(sizes, words, tied), layer.get("executor", "auto")
        chosen = characters, character_size
        size, self.input = with_characters(size, words, sizes, chosen, read_by)
        size += 0 if self.embeddings is None else self.embeddings.output_size
        beside = sizes.condition or 0
        size += beside * (condition == "input")
        on = topologies.create(topology) if isinstance(topology, str) else topology
        read = partial(readouts.create, readout) if isinstance(readout, str) else readout
        score = partial(heads.create, head) if isinstance(head, str) else head
        layer["cell"] = partial(cells.create, cell) if isinstance(cell, str) else cell
        layer["edge_size"] = sizes.edge_size if edges else None

        def upper(width: int) -> Upper:
            below = Convolution(before, size, width) if before else None
            stack = stacked(
                partial(Recurrence, hidden_size=width, **layer),
                on,
                width if below else size,
                num_layers,
                apart=apart,
                skip=skip,
                dropout=dropout,
                input_dropout=input_dropout,
                output_dropout=output_dropout,
                variational=variational,
                ar=ar,
                tar=tar,
            )
            above = Convolution(after, *[stack.output_size] * 2) if after else None
            scored = read(stack.output_size, len(on.directions))
            return Upper(below, stack, above, scored, score(scored.output_size, sizes))

        if parameters is not None:
            hidden_size = largest(
                lambda width: count_parameters(self.input, *upper(width)), parameters
            )
        self.before, self.stack, self.after, self.readout, self.head = upper(hidden_size)
        self.condition = Condition(beside, condition, self.stack.layers, on) if beside else None
        self.directions = len(on.directions)
        self.entering = size if before is None else hidden_size

    @property
    def layers(self) -> Sequence[Recurrence]:
        """The recurrences, from the input up."""
        return self.stack.layers

    def reset_parameters(self) -> None:
        """Reset all weights to those of a new net, given the same random state."""
        for module in self.children():
            reset(module)

    def summary(self, batch: Batch | None = None) -> Any:
        """The layers, their parameters and, with a batch, output sizes and the floor of a step.

        It prints as a table.
        """
        from structnet.nn.summary import summarise

        return summarise(self, batch)

    @property
    def penalty(self) -> Tensor | None:
        """What the last pass in training adds to the loss; None for nothing."""
        return total_penalty((self.stack, self.readout))

    def carry(
        self, batch: Batch, states: Sequence[States] | None = None
    ) -> tuple[Tensor | Scores, list[States]]:
        """The scores of every step, and the final states of every layer.

        ValueError for a net that is not one of chains read forward, with a score for every step.

        Arguments:
            batch: windows of sequences.
            states: the states that the samples start from, such as the final ones of the batch
                before: a tensor (B, size) per state of the cell, layer by layer; zeros where None.
        """
        check_steps(self)
        check_batch(batch, reads_edges=False)
        h, finals = self.stack.carry(self.input(batch.x), batch.plans, states)  # pyright: ignore
        return self._score(h, batch), finals

    def stepper(self, batch: int = 1) -> Stepper:
        """The net fed one step at a time: tokens (B,), or features (B, input_size).

        Every step returns the head's scores, (B, outputs).
        """
        return Stepper.of_net(self, batch)

    @property
    def layer_shape(self) -> tuple[int, int]:
        """How many states `layer_states` returns, and the size of each."""
        layers, size = self.stack.shape
        return layers + (self.entering * self.directions == size), size

    def layer_states(self, batch: Batch) -> list[Tensor]:
        """The states (N, size) of all layers, from the input up; all directions side by side.

        The first is what enters the lowest layer, once for every direction, if it is then of the
        size of a layer.
        """
        h = self.enter(batch)
        edge_x = batch.edge_x if self.edges else None
        layers = self.stack.outputs(h, batch.plans, edge_x, self._starts(batch))
        below = [h.repeat(1, self.directions)]
        return [*below[: self.layer_shape[0] - len(layers)], *layers]

    def enter(self, batch: Batch) -> Tensor:
        """What enters the lowest layer, (N, `entering`)."""
        if self.embeddings is None:
            h = self.input(batch.x)
        else:
            own = self.input(self.embeddings.own(batch.x))
            h = torch.cat([own, self.embeddings(batch)], dim=1)
        if self.condition is not None:
            h = self.condition.beside(h, batch)
        return h if self.before is None else self.before(h, batch.plans[0])

    def _starts(self, batch: Batch) -> list[States] | None:
        return None if self.condition is None else self.condition.states(batch)

    def forward(self, batch: Batch) -> Tensor | Scores:
        return self._score(self.states(batch), batch)

    def states(self, batch: Batch) -> Tensor:
        """What the readout reads: the output (N, size) of the last layer at every node."""
        reads_edges = not self.edges or self.edge_size is not None
        check_batch(batch, reads_edges, reads_condition=self.condition is not None)
        edge_x = batch.edge_x if self.edges else None
        h = self.stack(self.enter(batch), batch.plans, edge_x, self._starts(batch))
        if self.after is not None:
            h = self.after(h, batch.plans[0])
        return h

    def _score(self, h: Tensor, batch: Batch) -> Tensor | Scores:
        scored = self.readout(h, batch)
        if isinstance(self.head, JointHead):
            return self.head.score(scored, batch)
        return self.head(scored)
