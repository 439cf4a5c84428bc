"""Shared objects that came with an installed distribution; wheels set no search path for them."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path


def installed_libraries(distribution: str) -> dict[str, Path] | None:
    """Their real paths by file name; None when the distribution is not installed."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    return {file.name: Path(str(file.locate())).resolve() for file in files if ".so" in file.name}
