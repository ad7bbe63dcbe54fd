"""Sharing runs through a hub: what is pushed, and what is taken of a repository and checked."""

from structnet.sharing.pulling import Pulled, pull, pulled
from structnet.sharing.pushing import Pushed, push

__all__ = ["Pulled", "Pushed", "pull", "pulled", "push"]
