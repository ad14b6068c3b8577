"""Files that come with this package and are read wherever it is installed: catalogues, templates, locks."""

from importlib.resources import files
from pathlib import Path


def resource(name: str, package: str = __name__) -> Path:
    """The path of the file `name`, such as `bases.yaml`, that `package` brings along."""
    return Path(str(files(package).joinpath(name)))
