"""Where the files that travel with genir lie: prompts/ and configs/, in a checkout or inside the installed wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def locate(path: str | Path) -> Path:
    """The user's own file if it exists, else the one of that name that travels with genir.

    Only paths that begin with `prompts/` or `configs/` are looked up in genir; any other path is returned as it is,
    so that the caller's "no such file" names what the user wrote.
    """
    path = Path(path)
    if path.exists() or path.is_absolute() or path.parts[:1] not in (("prompts",), ("configs",)):
        return path
    for root in (PACKAGE / "_data", PACKAGE.parent):
        if (root / path).exists():
            return root / path
    return path
