"""The portal: the page that a card's guests see first. It lists the contents and searches in all of them.

Comes in: the books of the card (:mod:`creator.books`) and its configuration. Goes out: the files of
the folder ``/portal`` on the data partition, made when the image is built, the same bytes from the same
recipe. The card's web server gives them out as they are and leads everything else to kiwix-serve. They load
nothing from elsewhere, and work without a script (then one language is searched at a time), with a keyboard
and with a screen reader.
"""
