"""``python -m warehouse.shelf.check FILE NAME``: whether the shelf would offer the file under that name.

Prints JSON: ``problem`` (a sentence; empty: it would) and the file's ``sha256`` (empty: it was not read).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from warehouse.shelf.books import Book, read_book


def main() -> int:
    """Looks at the file. Returns the exit status."""
    path, name = Path(sys.argv[1]), sys.argv[2]
    book = read_book(path, Book(name, path.stat().st_size, path.stat().st_mtime_ns))
    sys.stdout.write(json.dumps({"problem": book.problem, "sha256": book.sha256}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
