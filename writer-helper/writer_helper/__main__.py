"""The door: ``writer-helper COMMAND``, or ``python -m writer_helper COMMAND``."""

from __future__ import annotations

import sys

from writer_helper.cli import run


def main() -> int:
    """Does what the command line says. Returns the exit status (0, or that of the error)."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
