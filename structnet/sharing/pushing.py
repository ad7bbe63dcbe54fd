"""Pushing a run to a hub: its configuration, weights, figures and model card, in one commit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structnet.run.directories import is_locked
from structnet.sharing.files import NAMES, REQUIRED, check_folder, check_size
from structnet.sharing.hub import LOGIN, Address, client, explained, import_hub
from structnet.system.reading import check_file
from structnet.system.words import command_line


@dataclass(frozen=True)
class Pushed:
    """A run on a hub.

    Arguments:
        address: its repository, and the hash of the commit.
        url: the repository's page.
        names: the files that were pushed.
        paths: option -> path of this machine, which the configuration holds and others can read.
    """

    address: Address
    url: str
    names: tuple[str, ...]
    paths: Mapping[str, str]


def push(directory: str | Path, to: str, private: bool = False) -> Pushed:
    """Push a trained run to a repository of a hub, which is made if it is not there.

    Files of an earlier push that the run lacks are removed; other files of the repository stay.
    ValueError for a run that is not trained or is damaged, without a token, for a repository that
    is not yours, and for a public one that was to be private; ConnectionError where the hub does
    not answer.

    Arguments:
        directory: of the run.
        to: OWNER/NAME.
        private: whether the repository has to be private; a new one is made so.
    """
    address, folder = Address.parse(to, with_revision=False), Path(directory)
    names, config = _check_run(folder)
    hub, api = import_hub(), client()
    endpoint = hub.constants.ENDPOINT
    if hub.get_token() is None:
        raise ValueError(f"no token for {endpoint}, which pushing needs: {LOGIN}")
    with explained(address, "push to"):
        made = api.create_repo(address.repository, private=private or None, exist_ok=True)
        info = api.model_info(address.repository)
    if private and not info.private:
        raise ValueError(
            f"{address} is there, and is public: name another repository, or make it private in "
            f"its settings, {made}/settings"
        )
    there = {one.rfilename for one in info.siblings or ()}
    operations: list[Any] = [hub.CommitOperationAdd(name, str(folder / name)) for name in names]
    operations += [hub.CommitOperationDelete(name) for name in NAMES if name in there - {*names}]
    with explained(address, "push to"):
        commit = api.create_commit(
            address.repository, operations, commit_message=f"Push a run of {config['task']['name']}"
        )
    return Pushed(Address(address.repository, commit.oid), str(made), names, _paths(config))


def _check_run(folder: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The files to push and the configuration; ValueError for a run that can't be pushed."""
    if folder.is_dir() and is_locked(folder):
        raise ValueError(f"{folder} is being trained: wait until that has ended")
    names = tuple(name for name in NAMES if (folder / name).is_file())
    for name in names:
        if (folder / name).is_symlink():
            raise ValueError(
                f"{folder / name} is a link, and what it leads to is not pushed: put the file there"
            )
    missing = [name for name in (*REQUIRED, "metrics.json") if name not in names]
    if (folder / REQUIRED[0]).is_file() and missing:
        raise ValueError(
            f"{folder} is not a trained run: it has no {', '.join(missing)}; go on with: "
            f"{command_line('train', f'resume={folder}')}"
        )
    config = check_folder(folder)
    for name in names:
        check_size(name, check_file(folder / name), str(folder))
    return names, config


def _paths(config: Mapping[str, Any]) -> dict[str, str]:
    """The options of a configuration that are absolute paths."""
    return {
        f"{group}.{option}": value
        for group, choice in config.items()
        if isinstance(choice, dict)
        for option, value in choice.items()
        if isinstance(value, str) and Path(value).is_absolute()
    }
