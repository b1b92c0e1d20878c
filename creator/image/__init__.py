"""The parts of an image, one module each: table, boot, root and data partition, block map, proof.

All work on a plain sparse file with an offset, as an ordinary user: nothing is mounted, no device is made.
"""
