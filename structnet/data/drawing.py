"""What a task shows of a sample in place of a structure drawn level by level."""

from typing import Any, Protocol


class Drawing(Protocol):
    """A sample with what a net gives for its nodes, for a terminal, a picture and JSON.

    `structnet predict` prints `text`, `structnet draw` saves `figure`, and both, on the page of
    `structnet errors`, are those of the worst mistakes. Neither is made before it is asked for.
    """

    def text(self) -> Any:
        """Lines for a terminal, a `rich.text.Text` without control characters."""
        ...

    def figure(self, title: str) -> Any:
        """A figure of matplotlib; ValueError for a sample that is too large for one."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data, which joins the prediction for the sample in JSON."""
        ...


# A text, its probability and, where it is shown in place of the text, a drawing.
Answer = tuple[str, float] | tuple[str, float, Drawing]
