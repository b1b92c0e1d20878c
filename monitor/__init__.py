"""The monitor: what workers tell becomes what the shop knows.

In: every event that workers send, from the one durable queue ``cardshop.events``, and the task messages that
were delivered too often, from ``cardshop.dead-letters``.
Out: tasks, orders, workers, slots and logs in the database, changed through ``scheduler.shop``; messages that
can't be understood or must not be believed become dead letters there.

Messages are folded in batches, and acknowledged after the database has them. While the monitor or the
database is down, events wait in their queue; several monitors at once are safe.
"""
