"""``cardshop``, the command for who takes orders and keeps the shop running, and for scripts of theirs.

In: words, and the session of a log-in, kept in a file that only its owner can read. Out: calls of the
scheduler's API with the user's own rights; tables, or JSON with ``--json``; errors as a sentence with what to
do, and the exit status of the error's kind (as in ``sysexits.h``).

Whatever changes something is safe to ask twice: a script may repeat a command whose answer it didn't see.
"""
