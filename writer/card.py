"""Writes an image to an open card and proves it by reading it back from the card.

The order of things makes an unfinished card useless rather than dangerous: the place of the image's head
(partition table and boot code) gets a mark first, then all the rest is written and read back, the head comes
last. A card that wraps at less than the size it tells would have overwritten the mark by then.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence

from cardshop.contract.errors import CardFailed, CardshopError, ImageDamaged
from cardshop.image_format import BLOCK_BYTES, Chunk
from writer.abreast import Abreast
from writer.capacity import CapacityProof
from writer.card_io import THROW_AWAY, CardIO
from writer.discard_ahead import DiscardAhead
from writer.guard import OpenCard
from writer.image_source import ImageSource
from writer.passport import CardContent
from writer.returned import chunks_told
from writer.speeds import SpeedMeter

HEAD_BYTES = 1024 * 1024
"""Chunks that begin below this are the head: without it nothing boots, nothing mounts."""

Observe = Callable[[int, int], None]
"""Called with (done, total) bytes after each piece."""


class CardImage:
    """One image on its way to one card. Call the steps in their order; any other way it never looks finished.

    Args:
        card: open, checked by the guard.
        content: what it is to hold: the image, with this card's passport in its place.
        image: the image's chunks.
        awaits: called now and then while all waits for a chunk that is still on its way to this host.

    Raises:
        ImageDamaged: the image's pieces can't be written in whole blocks.
    """

    def __init__(
        self,
        card: OpenCard,
        content: CardContent,
        image: ImageSource,
        awaits: Callable[[], None] = lambda: None,
    ) -> None:
        manifest = content.manifest
        if any(chunk.length % BLOCK_BYTES for chunk in manifest.chunks) or not manifest.chunks:
            raise ImageDamaged(f"The image {manifest.digest} has no whole blocks.")
        self._card = card
        self._io = CardIO(card)
        self._serial = card.inserted.card.serial
        self._manifest = manifest
        self._content = content
        self._image = image
        self._awaits = awaits
        self.writing, self.reading = SpeedMeter(), SpeedMeter()
        self._head = [chunk for chunk in manifest.chunks if chunk.offset < HEAD_BYTES]
        self._rest = manifest.chunks[len(self._head) :]
        self._mark_bytes = min(max(HEAD_BYTES, *(chunk.end for chunk in self._head), 0), manifest.bytes)
        self._believed: frozenset[int] = frozenset()  # offsets of what is thought to be on the card
        self._untrue: list[Chunk] = []  # of these, what is not
        self._discard: DiscardAhead | None = None  # while the card is written from its beginning
        self.kept_bytes = 0  # that were on the card already, and right
        self._abreast = Abreast(max(chunk.length for chunk in manifest.chunks))
        self._buffer = self._abreast.memory[0]

    @property
    def retried(self) -> int:
        """Requests that went through only in smaller pieces."""
        return self._io.retried

    def recognize(self) -> None:
        """Believes the card's own manifest, until it is read back: what it lists isn't written again.

        To be called first, before the manifest is written over. Raises CardRefused.
        """
        told = chunks_told(self._io, self._card.inserted.card.size_bytes)
        self._believed = frozenset(chunk.offset for chunk in self._rest if chunk in told)

    def prove_capacity(self, observe: Observe) -> None:
        """Finds out whether the card holds what it says; ``observe`` counts small requests.

        Raises:
            CardFailed: it holds less.
            CardRefused: it was taken out, or is read-only.
        """
        CapacityProof(self._io, self._card.inserted.card.size_bytes, self._serial).prove(observe)

    def write(self, observe: Observe) -> None:
        """Marks the card as unfinished, and writes all but the head and what the card is believed to hold.

        Raises:
            CardRefused: the card is read-only.
            CardFailed: it doesn't take the bytes.
            ImageDamaged: the image file is not what its manifest says.
        """
        self._write_mark()
        missing = [chunk for chunk in self._rest if chunk.offset not in self._believed]
        if not self._believed:
            self._discard = DiscardAhead(self._card, self._mark_bytes)
        self._write_chunks(missing, observe)
        if self._discard:
            discard, self._discard, written = self._discard, None, sum(chunk.length for chunk in missing)
            discard.rest(lambda: observe(written, written))
        self._io.flush()

    def read_back(self, observe: Observe) -> None:
        """Proves all but the head, then writes and proves the head: now the card is good.

        What the card was wrongly believed to hold is written after all, and then everything is read again:
        what is written late could have fallen on what was proved before.

        Raises:
            As :meth:`write`. CardFailed: the card gives other bytes back.
        """
        verified = self._read_chunks(self._rest, 0, observe)
        believed, self._believed = self._believed, frozenset()
        if self._untrue:
            self._write_chunks(self._untrue, lambda _done, _total: None)
            self._io.flush()
            verified = self._read_chunks(self._rest, 0, observe)
        kept = believed - {chunk.offset for chunk in self._untrue}
        self.kept_bytes = sum(chunk.length for chunk in self._rest if chunk.offset in kept)
        self._check_mark()
        try:
            self._write_chunks(self._head, lambda _done, _total: None)
            self._io.flush()
            self._read_chunks(self._head, verified, observe)
        except BaseException:
            # Stopped or failed with a head on it: take it off again, if the card still can.
            with contextlib.suppress(CardshopError):
                self._write_mark()
            raise

    def verify(self, observe: Observe) -> None:
        """Proves every mapped byte, and writes nothing. Raises CardFailed."""
        self._io.flush()
        self._read_chunks(self._manifest.chunks, 0, observe)

    def _write_chunks(self, chunks: Sequence[Chunk], observe: Observe) -> None:
        total = sum(chunk.length for chunk in chunks)
        self._with_each(chunks, self._write_chunk, 0, total, observe)

    def _read_chunks(self, chunks: Iterable[Chunk], done: int, observe: Observe) -> int:
        return self._with_each(chunks, self._read_chunk, done, self._manifest.mapped_bytes, observe)

    def _with_each(
        self,
        chunks: Iterable[Chunk],
        do: Callable[[memoryview, Chunk, threading.Event], None],
        done: int,
        total: int,
        observe: Observe,
    ) -> int:
        def count(chunk: Chunk) -> None:
            nonlocal done
            done += chunk.length
            observe(done, total)

        def waits(chunk: Chunk) -> None:
            if self._image.is_awaited(chunk):
                self._awaits()

        self._abreast.run(chunks, do, count, waits)
        return done

    def _write_chunk(self, data: memoryview, chunk: Chunk, ending: threading.Event) -> None:
        self._load(data, chunk, ending)
        self._card.check_there()
        self._card.check_writable()
        if self._discard:
            self._discard.reach(chunk.end)
        with self.writing.timed(chunk.length):
            self._io.put(data, chunk.offset)

    def _read_chunk(self, data: memoryview, chunk: Chunk, _ending: threading.Event) -> None:
        self._card.check_there()
        with self.reading.timed(chunk.length):
            self._io.get(data, chunk.offset)
        if hashlib.sha256(data).hexdigest() == chunk.sha256:
            return
        if chunk.offset in self._believed:
            self._untrue.append(chunk)
        else:
            raise CardFailed(
                f"The card {self._serial} gives back other bytes than were written, "
                f"between byte {chunk.offset} and {chunk.end}.",
                hint=THROW_AWAY,
            )

    def _load(self, data: memoryview, chunk: Chunk, ending: threading.Event) -> None:
        passport = self._manifest.passport
        if self._content.passport is not None and passport and chunk.offset == passport.offset:
            data[:] = self._content.passport
        else:
            self._image.load(data, chunk, ending)

    def _write_mark(self) -> None:
        # In large pieces: thousands of small requests would take a card seconds.
        for offset in range(0, self._mark_bytes, len(self._buffer)):
            data = self._buffer[: self._mark_bytes - offset]
            for block in range(0, len(data), BLOCK_BYTES):
                data[block : block + BLOCK_BYTES] = self._mark(offset + block)
            self._io.put(data, offset)

    def _check_mark(self) -> None:
        for offset in range(0, self._mark_bytes, len(self._buffer)):
            data = self._buffer[: self._mark_bytes - offset]
            self._io.get(data, offset)
            for block in range(0, len(data), BLOCK_BYTES):
                if data[block : block + BLOCK_BYTES] != self._mark(offset + block):
                    raise CardFailed(
                        f"The card {self._serial} wrote over its own beginning, at byte {offset + block}.",
                        hint="It holds less than it says: a counterfeit. Put in another.",
                    )

    def _mark(self, offset: int) -> bytes:
        line = f"Cardshop: this card is not finished. Image {self._manifest.digest}, byte {offset}.\n"
        return line.encode().ljust(BLOCK_BYTES, b"\0")
