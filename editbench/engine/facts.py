"""What decoding the source images of every pair told: about fifty bytes a pair, however many."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import overload

from editbench.records import Facts

_DIGEST = 32  #: bytes


class FactsTable(Sequence[Facts | str]):
    """Facts by index; a text instead says why the pair's images are unreadable."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._sizes = array("I")  # width and height of each image
        self._ends = array("Q")  # how many images there are up to each pair
        self._unreadable: dict[int, str] = {}

    def append(self, found: Facts | str) -> None:
        """Add the next pair's."""
        if isinstance(found, str):
            self._unreadable[len(self)] = found
        else:
            for pixels, size in zip(found.pixels, found.sizes, strict=True):
                self._digests += bytes.fromhex(pixels)
                self._sizes.extend(size)
        self._ends.append(len(self._digests) // _DIGEST)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Facts | str: ...
    @overload
    def __getitem__(self, index: slice) -> list[Facts | str]: ...
    def __getitem__(self, index: int | slice) -> Facts | str | list[Facts | str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if index in self._unreadable:
            return self._unreadable[index]
        images = range(self._ends[index - 1] if index else 0, self._ends[index])
        return Facts(
            tuple(self._digests[_DIGEST * i : _DIGEST * (i + 1)].hex() for i in images),
            tuple((self._sizes[2 * i], self._sizes[2 * i + 1]) for i in images),
        )

    def __iter__(self) -> Iterator[Facts | str]:
        return (self[index] for index in range(len(self)))
