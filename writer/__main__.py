"""``python -m writer``: works until SIGTERM; a card in the making is begun again later."""

from __future__ import annotations

import os
import sys

from cardshop import logs
from cardshop.contract.errors import CardshopError
from writer.app import run
from writer.settings import read


def main() -> int:
    """Runs the service. Returns the exit status."""
    try:
        settings = read(os.environ)
    except CardshopError as error:
        sys.stderr.write(f"{error.sentence}\n")
        return error.exit_status
    logs.set_up("writer", settings.log_level)
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
