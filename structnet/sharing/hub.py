"""A hub: addresses of repositories, the client library, and its errors in plain words.

The hub is the one at HF_ENDPOINT, huggingface.co by default, and the token that of `hf auth login`
or HF_TOKEN.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from structnet import __version__
from structnet.registry.plugin import describe

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,199}", re.ASCII)
HASH = re.compile(r"[0-9a-f]{40}")
LOGIN = "log in with `hf auth login`, or set HF_TOKEN"


@dataclass(frozen=True)
class Address:
    """A repository of a hub, and a revision of it.

    Arguments:
        repository: OWNER/NAME.
        revision: a branch, a tag or the hash of a commit; None for the newest.
    """

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str, with_revision: bool = True) -> "Address":
        """The address that a text stands for, as OWNER/NAME or OWNER/NAME@REVISION.

        ValueError says what is wrong with it.
        """
        repository, at, revision = text.removeprefix("hub:").partition("@")
        form = f"OWNER/NAME{'[@REVISION]' if with_revision else ''}"
        if not REPOSITORY.fullmatch(repository) or ".." in repository or "--" in repository:
            raise ValueError(
                f"{text!r} is no repository of a hub: write {form}, of letters, digits, . _ and -"
            )
        if at and not with_revision:
            raise ValueError(f"{text!r} has a revision, and pushing makes a new one: write {form}")
        if at and (not REVISION.fullmatch(revision) or ".." in revision):
            raise ValueError(
                f"{text!r} has no valid revision: write {form}, with a branch, a tag or the hash "
                "of a commit"
            )
        return cls(repository, revision if at else None)

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is the hash of a commit, which can't change."""
        return self.revision is not None and HASH.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}" if self.revision else self.repository


def import_hub() -> Any:
    """The library huggingface_hub; ModuleNotFoundError says what to install without it."""
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "sharing runs needs huggingface_hub, which is not installed: pip install "
            "huggingface_hub, or install structnet with its extra 'hub': pip install -e '.[hub]'"
        ) from error
    return huggingface_hub


def client() -> Any:
    """The client of the hub."""
    return import_hub().HfApi(library_name="structnet", library_version=__version__)


@contextmanager
def explained(address: Address, doing: str) -> Iterator[None]:
    """Raise the library's errors with the address, the cause and the way out.

    ValueError for a repository or revision that is not there and for what the token does not allow,
    ConnectionError where the hub does not answer.

    Arguments:
        address: the repository.
        doing: what is done, as "pull from".
    """
    try:
        yield
    except Exception as error:
        # What ended an upload is the cause of a RuntimeError.
        cause = error.__cause__ if isinstance(error, RuntimeError) else error
        if (plain := _in_plain_words(address, f"cannot {doing} {address}", cause)) is None:
            raise
        raise plain from error


def _in_plain_words(address: Address, what: str, error: Any) -> Exception | None:
    """The error to raise in place of one of the library; None for any other."""
    import httpx

    errors = import_hub().errors
    if isinstance(error, errors.RevisionNotFoundError):
        return ValueError(
            f"{what}: {address.repository} has no revision {address.revision!r}; leave out "
            f"@{address.revision} for the newest"
        )
    if isinstance(error, errors.GatedRepoError):
        return ValueError(
            f"{what}: its owner has to let you in; ask for access on its page, and {LOGIN}"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ValueError(
            f"{what}: there is no such repository, or it is private and your token may not read "
            f"it; check the name, and {LOGIN}"
        )
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(what, error)
    if isinstance(error, httpx.TransportError | ConnectionError | errors.LocalEntryNotFoundError):
        return _unreachable(what, error)
    return None


def _refused(what: str, error: Any) -> Exception:
    """The error for an answer of the hub that refuses or fails."""
    status = error.response.status_code
    said = " ".join((error.server_message or "").split())[:200]
    what = f"{what}: the hub answers {status}{f', {said}' if said else ''}"
    if status == 401:
        return ValueError(f"{what}; your token is not valid: {LOGIN}")
    if status == 403:
        return ValueError(
            f"{what}; your token does not allow it: take one that may write, and a repository of "
            "your own or of your organisation"
        )
    return ConnectionError(f"{what}; try again later")


def _unreachable(what: str, error: Exception) -> ConnectionError:
    endpoint = import_hub().constants.ENDPOINT
    reason = describe(error.__cause__ or error)
    return ConnectionError(
        f"{what}: {endpoint} does not answer ({reason}); check the network and HF_ENDPOINT. What "
        "was pulled before is taken without a network by its hash, as OWNER/NAME@HASH"
    )
