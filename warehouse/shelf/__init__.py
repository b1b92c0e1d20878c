"""The shelf: a folder of ZIM files, offered to the shop as a catalogue of its own.

``python -m warehouse.shelf FOLDER`` serves an OPDS feed, the files, and a metalink for each with its exact
size and checksums. Put a file into the folder and it is listed once it was read whole and found sound. It is
a program of its own beside the FTPS server: it needs no account, and has nothing to do with images.
"""
