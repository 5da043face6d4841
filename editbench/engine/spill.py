"""Edits: every one on disk, and those that nobody has read yet also in RAM, up to a limit."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from editbench.engine.choice import CodecChoice
from editbench.engine.codec import Codec, Encoded, decode, encode, plain_pixels
from editbench.engine.commits import Row, add_together
from editbench.engine.frame import Record
from editbench.engine.keys import pixel_hash
from editbench.engine.memory import pixel_bytes
from editbench.engine.store import Store
from editbench.errors import StoreError
from editbench.records import Edit, Json

if TYPE_CHECKING:
    from PIL.Image import Image

PREFIX = "e:"  #: of the keys of edits
RETIRED = "t:"  #: of what is left of edits that were not kept
THUMBNAIL = 384  #: pixels of its longer side
_TRIES = 3


class Made(NamedTuple):
    """An edit that is not stored yet."""

    key: str
    image: Image
    seconds: float  #: that the device took for it
    provenance: Mapping[str, Json]
    sources: tuple[Image, ...] = ()  #: to be had with the edit if it is read from RAM


class Spilled(NamedTuple):
    """A stored edit, read."""

    edit: Edit
    image: Image
    sources: tuple[Image, ...] = ()  #: that were put with it, if they were kept


class SpillStats(NamedTuple):
    """Numbers for displays."""

    images: int  #: held in RAM
    in_memory: int  #: bytes of their pixels, and of their sources
    on_disk: int  #: bytes in the store


class Spill:
    """Edits by key. Any thread. The store has the last word; RAM only saves reading it."""

    def __init__(
        self,
        store: Store,
        *,
        host_limit: int,
        codec: Codec | Literal["auto"] = "webp",
        edits: int = 1,
    ) -> None:
        """Keep at most ``host_limit`` bytes of decoded pixels in RAM; 0 keeps none.

        What is there stays until it is read, once: edits are scored in the order in which they were
        made, so that making room for new ones would let go of each just before its turn.

        ``auto`` chooses by how long edits take and what room the store has for so many ``edits``.
        """
        fixed = None if codec == "auto" else codec
        self._choice = CodecChoice(fixed, room=lambda: store.room() // edits)
        self._store = store
        self._unread = _Unread(host_limit)

    def put(
        self, key: str, image: Image, *, seconds: float, provenance: Mapping[str, Json]
    ) -> Edit:
        """Store one edit, as ``put_many`` does."""
        return self.put_many([Made(key, image, seconds, provenance)])[0]

    def put_many(self, made: Sequence[Made]) -> list[Edit]:
        """Store edits, small ones in one commit; they are durable on return.

        If a key is there already nothing is stored, and what is there is returned. Raises
        ``StoreFull``, ``StoreError``; some of the edits may be stored then.
        """
        rows: list[Row] = []

        def encoded() -> Iterator[Row]:
            for one in made:
                rows.append(self._row(one))
                yield rows[-1]

        if add_together(self._store, encoded()) < len(made):
            return [self._settle(one) for one in made]
        edits = [_edit(row.key, row.header) for row in rows]
        for edit, row, one in zip(edits, rows, made, strict=True):
            self._unread.put(edit, row, one)
        return edits

    def _row(self, made: Made) -> Row:
        image = made.image
        encoded = encode(image, self._choice.codec(image, seconds=made.seconds))
        header = {
            "pixels": pixel_hash(image, plain_pixels(encoded)),
            "width": image.width,
            "height": image.height,
            "mode": image.mode,
            "codec": encoded.codec,
            "bytes": len(encoded.payload),
            "seconds": made.seconds,
            "provenance": dict(made.provenance),
        }
        return Row(made.key, header, encoded.payload)

    def _settle(self, made: Made) -> Edit:
        """Return the edit under a key that was there first; replace a damaged one."""
        for _ in range(_TRIES):
            found = self.get(made.key)
            if found is not None:
                return found.edit
            row = self._row(made)
            if self._store.add(*row):
                return _edit(row.key, row.header)
        raise StoreError(
            f"{made.key} is damaged in the store and cannot be replaced",
            hint="check the disk and make room on it",
        )

    def get(self, key: str) -> Spilled | None:
        """Return an edit and its image, the same to the last bit as the one that was put.

        A damaged one is deleted and is not there any more. Raises ``StoreError``.
        """
        unread = self._unread.take(key)
        if unread is not None:
            return unread
        record = self._store.get(key)
        if record is None:
            return None
        edit = _edit(key, record.header)
        return Spilled(edit, _decoded(edit, record))

    def facts(self, key: str) -> Edit | None:
        """Return what is known of an edit without reading its image."""
        return self.facts_of([key]).get(key)

    def facts_of(self, keys: Sequence[str]) -> dict[str, Edit]:
        """Return what is known of those keys that have an edit, at the cost of one query."""
        return {key: _edit(key, header) for key, header in self._store.headers_of(keys).items()}

    def retire(self, key: str, *, thumbnail: bool) -> int:
        """Delete an edit's image and keep what is known of it, with a small picture if asked.

        Returns the bytes freed on disk, 0 if there was no such edit. Raises ``StoreError``.
        """
        found = self.get(key) if thumbnail else None
        header = self._store.header(key)
        if header is None:
            return 0
        picture = _thumbnail(found.image) if found else b""
        self._store.add(_retired(key), header, picture, vital=True)
        return self.drop(key) - len(picture)

    def retired(self, key: str) -> Edit | None:
        """Return what is known of an edit whose image was deleted."""
        return self.retired_of([key]).get(key)

    def retired_of(self, keys: Sequence[str]) -> dict[str, Edit]:
        """Return what is known of those keys whose edit's image was deleted, likewise."""
        names = {_retired(key): key for key in keys}
        found = self._store.headers_of(list(names))
        return {names[name]: _edit(names[name], header) for name, header in found.items()}

    def thumbnail(self, key: str) -> Image | None:
        """Return the small picture that was kept of a retired edit. Raises ``StoreError``."""
        record = self._store.get(_retired(key))
        if record is None or not record.payload:
            return None
        from PIL import Image as pil

        return pil.open(io.BytesIO(record.payload), formats=("WEBP",))

    def all_facts(self) -> Iterator[tuple[str, Edit]]:
        """Yield every edit's key and facts, in the order of the keys."""
        for key, header in self._store.headers(PREFIX):
            yield key, _edit(key, header)

    def drop(self, key: str) -> int:
        """Delete an edit and return the bytes freed on disk; 0 if there was none."""
        self._unread.drop(key)
        return self._store.delete(key)

    def stats(self) -> SpillStats:
        """Return the numbers of this moment."""
        images, in_memory = self._unread.size()
        return SpillStats(images, in_memory, self._store.used())


def _retired(key: str) -> str:
    return RETIRED + key.removeprefix(PREFIX)


def _thumbnail(image: Image) -> bytes:
    small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    out = io.BytesIO()
    small.save(out, "WEBP", quality=80)
    return out.getvalue()


class _Kept(NamedTuple):
    edit: Edit
    raw: Encoded  #: bytes cannot be changed by who made the image
    sources: tuple[Image, ...]

    @property
    def bytes(self) -> int:
        return len(self.raw.payload) + sum(pixel_bytes(*image.size) for image in self.sources)


class _Unread:
    """Edits by key, each until it is read."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def put(self, edit: Edit, row: Row, made: Made) -> None:
        image = made.image
        if self._bytes + image.width * image.height > self._limit:
            return  # not worth making the bytes, of which a pixel has one at least
        raw = _encoded(edit, row)
        if raw.codec != "raw":
            raw = encode(image, "raw")
        with self._lock:
            self._drop(edit.key)
            for sources in (made.sources, ()):
                kept = _Kept(edit, raw, sources)
                if self._bytes + kept.bytes <= self._limit:
                    self._kept[edit.key] = kept
                    self._bytes += kept.bytes
                    return

    def take(self, key: str) -> Spilled | None:
        with self._lock:
            kept = self._kept.get(key)
            self._drop(key)
        return kept and Spilled(kept.edit, decode(kept.raw), kept.sources)

    def drop(self, key: str) -> None:
        with self._lock:
            self._drop(key)

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.bytes

    def size(self) -> tuple[int, int]:
        with self._lock:
            return len(self._kept), self._bytes


def _edit(key: str, header: Mapping[str, Json]) -> Edit:
    return Edit(
        key=key,
        pixels=header["pixels"],
        width=header["width"],
        height=header["height"],
        bytes=header["bytes"],
        seconds=header["seconds"],
    )


def _encoded(edit: Edit, stored: Row | Record) -> Encoded:
    header = stored.header
    return Encoded(header["codec"], header["mode"], edit.width, edit.height, stored.payload)


def _decoded(edit: Edit, record: Record) -> Image:
    """Return a record's image, proven to be the one that the edit's verdict will be kept under."""
    encoded = _encoded(edit, record)
    try:
        image = decode(encoded)
        same = pixel_hash(image, plain_pixels(encoded)) == edit.pixels
    except (OSError, ValueError):
        same = False
    if not same:
        raise StoreError(
            f"{edit.key} decodes to other pixels than were stored",
            hint=f"the library that reads {encoded.codec} is at fault: update it",
        )
    return image
