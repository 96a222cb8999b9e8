"""Files that come with treadle and are no code: in the wheel inside the package, in a checkout beside it."""

from pathlib import Path

INSTALLED = "_shipped"


def shipped(name: str) -> Path:
    """The folder or file of that name, such as `pipelines` or `examples/shell`."""
    package = Path(__file__).parents[1]
    inside = package / INSTALLED / name
    return inside if inside.exists() else package.parents[1] / name
