"""`genir` and `python -m genir`."""

import sys

from genir.cli import run


def main() -> None:
    """Entry point of the command line."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
