"""Beat: what time decides.

In: the ``schedules`` collection (what to run, when) and the ``outbox`` (messages that wait to be sent).
Out: task messages on RabbitMQ, confirmed; requests to workers to stop a task; and what its jobs change
through ``scheduler.shop``: recipes ordered, catalogues read, write tasks given to writers, silent tasks given
up, old things dropped.

Celery's beat is the clock; the jobs run in threads of this process. The outbox has a thread of its own, woken
by a change stream, so that a message is on its way within moments. Two beats at once are safe: a run and a
line of the outbox each belong to the one that took it.
"""
