"""What keeps writers running: one interface, one implementation for each ``writers.run``."""

from writer_helper.runners.choice import runner_for
from writer_helper.runners.runner import Runner, WriterState

__all__ = ["Runner", "WriterState", "runner_for"]
