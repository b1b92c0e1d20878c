"""The creator: a Celery worker that turns a resolved recipe into a bootable image.

In: a ``create`` task (image digest, size, base image, contents with address, size and SHA-256) and, with its
claim, the card configuration and a token for one upload. Out: ``<digest>.img`` (raw, sparse), ``.bmap``,
``.json`` (manifest) and ``.cdx.json`` (what is in it) in the warehouse, and the task's events.
On the way: contents are fetched into a cache by their SHA-256 (``fetch``), the image is put together in the
work folder without root and without mounts (``build``, ``image``), its file systems are checked and every
content is read out of it again; where the admin wants it, it is started in a virtual machine (``trial``). A
build that was killed and starts again finds the contents in the cache.
Needs: the programs sfdisk, mke2fs, e2fsck, debugfs, dumpe2fs and mtools; libext2fs; a folder of base images,
which ``creator/base`` makes.
"""
