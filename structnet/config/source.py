"""A source of Hydra's for the user's folders of configuration files: plain data only."""

import io
from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import OmegaConf

from structnet.run.plain import read_yaml, refuse_functions
from structnet.system.reading import read_text


class PlainSource(FileConfigSource):
    """Reads files without aliases and computed values; Hydra knows a folder as plain://FOLDER."""

    @staticmethod
    def scheme() -> str:
        return "plain"

    def load_config(self, config_path: str) -> ConfigResult:
        """Load a file; ValueError if it isn't plain data, before OmegaConf reads it."""
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
    """The folder as an entry of Hydra's search path, in quotes."""
    Plugins.instance().register(PlainSource)
    text = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{PlainSource.scheme()}://{text}'"
