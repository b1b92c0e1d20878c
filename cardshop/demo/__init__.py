"""The demo: an order taken through the whole local stack to cards that are proven good.

``python -m cardshop.demo`` makes ZIM files from manuals packaged by Debian, serves them as a catalogue,
places an order for two cards through the API, watches it, and proves the cards with other people's tools
only: sfdisk, e2fsck, mtools, debugfs, openssl, zimcheck, and QEMU.
"""
