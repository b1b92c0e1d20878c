"""The commands: one module a group, each with ``add``, which puts its parsers under the main one."""
