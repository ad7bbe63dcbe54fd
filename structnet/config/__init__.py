"""Configurations: signatures and conf/ composed into plain data."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structnet.config.composing import compose as compose


def __getattr__(name: str) -> Any:
    # What lists components needs no Hydra.
    if name == "compose":
        from structnet.config.composing import compose

        return compose
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
