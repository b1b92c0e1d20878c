"""Base image: the system that every card of an architecture starts from, built from Debian packages.

Comes in: an architecture, this folder's recipe (``packages.toml``, ``hooks/``, ``files/``) and the apt
sources of the machine that builds. Goes out: ``cardshop-ARCHITECTURE.img``, an MBR disk image with the boot
partition (FAT32, kernel and initial RAM disk in it) and the root partition (ext4), and beside it
``cardshop-ARCHITECTURE.json``, its manifest, and ``.cdx.json``, the list of its packages (CycloneDX).
Neither root nor loop devices are needed.

``python -m creator.base --architecture amd64 --output FOLDER``; nothing is built again while the recipe is
the same. What the card does when it starts lies under ``files/`` as it lies on the card.
"""
