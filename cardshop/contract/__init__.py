"""The message contract: task and event schemas, their names and versions, and the tree of errors.

Every side imports this package, so it knows the standard library only. A message is a frozen dataclass
with ``to_wire`` and ``from_wire``; golden files under ``tests/contract`` hold the wire form.
"""
