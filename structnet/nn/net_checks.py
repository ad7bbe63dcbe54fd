"""What net `stack` rejects: tasks and batches with what it does not read, and options."""

from structnet.data.batch import Batch
from structnet.nn.sizes import Sizes
from structnet.registry import nets


def check_task(sizes: Sizes) -> None:
    """ValueError for a task with what net `stack` does not read."""
    others = [name for name in nets.names() if name != "stack"]
    if sizes.sees is not None:
        raise ValueError(
            "the task predicts the input of every node, which net 'stack' would show: take a "
            f"net that hides it, one of {others}, or another goal, as task.goal=class of images"
        )
    if sizes.condition is not None and type(sizes.condition) is not int:
        raise ValueError(
            f"the task gives the net a condition, {sizes.condition!r}, which net 'stack' does not "
            f"read: take a net that reads it, one of {others}, or give a vector of numbers"
        )
    if sizes.parts:
        raise ValueError(
            f"a sample of the task has further structures, {list(sizes.parts)}, which net 'stack' "
            f"does not read: take a net that reads them, one of {others}"
        )


def check_apart(sizes: Sizes, apart: bool, convolved: bool) -> None:
    """ValueError where a direction would be shown what it predicts.

    Arguments:
        sizes: what the task tells of its data.
        apart: whether each direction has a stack of its own.
        convolved: whether there are convolutions, which read nodes before and after a node.
    """
    if not sizes.apart:
        return
    shown = {
        "net.apart=false, with which layers see both directions": not apart,
        "net.before or net.after, which see neighbours on all sides": convolved,
        "net.embeddings, which have seen the whole sample": sizes.pretrained is not None,
    }
    for what, given in shown.items():
        if given:
            raise ValueError(
                f"the task predicts in each direction what the other one reads, and {what}, would "
                "show it: leave it out"
            )


def check_embeddings(sizes: Sizes, embeddings: str | None) -> None:
    """ValueError for the name of a run that was not opened."""
    if embeddings is not None and sizes.pretrained is None:
        raise ValueError(
            f"option 'embeddings' names a run, {embeddings!r}, that is opened where a run is "
            "trained: a net made by hand reads the net in sizes.pretrained"
        )


def check_batch(batch: Batch, reads_edges: bool, reads_condition: bool = False) -> None:
    """ValueError for what samples have beside x, where the task did not announce it."""
    if batch.condition is not None and not reads_condition:
        raise ValueError(
            "samples have a condition, and the task does not say its size for net 'stack' to read "
            "it: set the task's `condition`, or leave it out"
        )
    if batch.parts:
        raise ValueError(
            f"samples have {len(batch.parts)} further structures in `parts`, which net 'stack' "
            "does not read: leave them out, or take a net of your own"
        )
    if batch.edge_x is not None and not reads_edges:
        raise ValueError(
            f"samples have edge_x of {batch.edge_x.shape[1]} features, and the task has no "
            "edge_size for net 'stack' to read them: set it, or take net.edges=false"
        )
