"""Beat: what time decides.

In: the ``schedules`` collection (what to run, how often) and the ``outbox`` (messages that wait to be sent).
Out: task messages on RabbitMQ, confirmed; requests to workers to stop a task; and what its jobs change
through ``scheduler.shop``: catalogues refreshed, write tasks given to writers, silent tasks given up.

Celery's beat is the clock; the jobs run in this process. The outbox has a thread of its own, woken by a
change stream, so that a message is on its way within moments. Two beats at once are safe: a run and a line
of the outbox each belong to the one that took it.
"""
