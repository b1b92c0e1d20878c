"""The Celery worker that creator and writer share.

In: task messages from one queue, delivered late-acknowledged, one at a time. Out: events about them on the
event exchange. A service gives a :class:`Job` (which queue, how to read a message, what to do) to
:func:`run_worker`; the work itself runs in a child process with a :class:`Reporter`.

The order of things, whatever is killed: the message is claimed at the scheduler, the work is done, the
outcome is published and confirmed, then the message is acknowledged. A message that comes again finds its
task done at the claim and is dropped, or is claimed anew and the work goes on from what the work folder has.
"""

from cardshop.worker.job import Job, Slots
from cardshop.worker.program import run_worker
from cardshop.worker.reporter import Reporter
from cardshop.worker.settings import WorkerSettings
from cardshop.worker.stopping import Stopped

__all__ = ["Job", "Reporter", "Slots", "Stopped", "WorkerSettings", "run_worker"]
