"""Reads the fields of one item, and notes what is wrong with them instead of stopping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from editbench.records import Json


class Fields:
    """The fields of one item; ``faults`` grows as they are read, ``used`` with every field read."""

    def __init__(self, values: Mapping[str, Json]) -> None:
        self._values = values
        self.faults: list[str] = []
        self.used: set[str] = set()

    def required(self, names: Sequence[str]) -> str:
        """Return the text of the first of ``names`` that the item has; it must not be empty."""
        name = self._first(names)
        text = self._text(name)
        if self._values.get(name) is None:
            self.faults.append(f"no {_either(names)}")
        elif text is not None and not text.strip():
            self.faults.append(f"{name} is empty")
        return text or ""

    def optional(self, names: Sequence[str]) -> str:
        """Return the text of the first of ``names`` that the item has, or nothing."""
        return self._text(self._first(names)) or ""

    def texts(self, names: Sequence[str], *, separator: str = "") -> tuple[str, ...]:
        """Return one or several texts of the first of ``names`` that is there; at least one."""
        name = self._first(names)
        self.used.add(name)
        value = self._values.get(name)
        if isinstance(value, str):
            parts = value.split(separator) if separator else [value]
            value = [part.strip() for part in parts]
        if value is None:
            self.faults.append(f"no {_either(names)}")
        elif not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            self.faults.append(f"{name} must be a text or a list of texts, got {_short(value)}")
        elif not value or not all(part.strip() for part in value):
            self.faults.append(f"{name} is empty")
        else:
            return tuple(value)
        return ()

    def rest(self) -> dict[str, Json]:
        """Return the fields that nobody asked for."""
        return {name: value for name, value in self._values.items() if name not in self.used}

    def _first(self, names: Sequence[str]) -> str:
        for name in names:
            if self._values.get(name) is not None:
                return name
        return names[0]

    def _text(self, name: str) -> str | None:
        self.used.add(name)
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        self.faults.append(f"{name} must be a text, got {_short(value)}")
        return None


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
