"""What stands in the paths of several routes, and how a shape shows an example of itself."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import ConfigDict

MAX_NUMBER = 999_999_999

Name = Annotated[str, Path(description="The adapter's name.", examples=["support"])]
Alias = Annotated[str, Path(description="The alias's name.", examples=["default"])]
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="The version's number.", examples=[3])]
File = Annotated[str, Path(description="The file's name.", examples=["manifest.json"])]
UploadId = Annotated[str, Path(description="The upload's id.", examples=["5f0c2f7a9d1e4b83a6c0d2e4f6a8b0c2"])]

DIGEST = "sha256:" + "0f" * 32
"""A digest for examples."""


def example(**fields: Any) -> ConfigDict:
    """A shape's configuration, with an example of it for the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [fields]})
