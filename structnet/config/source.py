"""A user's folder of configurations as Hydra reads it: plain data alone."""

import io
from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import OmegaConf

from structnet.run.plain import read_yaml, refuse_functions
from structnet.system.reading import read_text


class PlainSource(FileConfigSource):
    """Files without aliases, and without anything to compute: `plain://FOLDER` to Hydra."""

    @staticmethod
    def scheme() -> str:
        return "plain"

    def load_config(self, config_path: str) -> ConfigResult:
        """ValueError for what is no plain data, before OmegaConf opens it."""
        path = Path(self.path, self._normalize_file_name(config_path))
        if not path.is_file():
            raise ConfigLoadError(f"no file {path}")
        refuse_functions(read_yaml(path), str(path))
        text = read_text(path)
        return ConfigResult(
            self.provider,
            f"{self.scheme()}://{self.path}",
            OmegaConf.load(io.StringIO(text)),
            self._get_header_dict(text[:512]),
        )


def search_path(folder: Path) -> str:
    """What Hydra finds a folder's files by, in quotes."""
    Plugins.instance().register(PlainSource)
    text = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{PlainSource.scheme()}://{text}'"
