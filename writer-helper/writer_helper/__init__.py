"""The technician's tool on a host of writers.

In: what a person types, the card readers of this host (``places``), the API's answer to a one-time code.
Out: the configuration file that each writer reads (``configuration``; its format is
``cardshop.writer_host``), printable labels, and writers that run (``runners``: as containers, as systemd
units or as plain processes; only those of ours are ever touched).
Every step is a command (``commands``), and the same steps are a walk through screens (``screens``).
Secrets are typed without echo or made here, and shown nowhere.
"""
