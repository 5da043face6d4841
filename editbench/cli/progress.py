"""How far one phase is and how fast it goes, and a mean that needs no list. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from editbench.cli.text import middle

WINDOW = 600.0  #: seconds of work that a rate looks back on
FEWEST, MOST = 20, 512  #: items that it looks back on, however long or short they take
KNOWN = 3  #: items before a rate or a time left is shown
SCORED = 5  #: scores before a margin is shown
STEADY = 4  #: items in a span on average, so that chance does not look like a change of pace
BEATS = 48  #: spans that a phase's past is kept in, at most


class Sample(NamedTuple):
    """A finished item."""

    worked: float  #: seconds the phase had been going on
    seconds: float  #: on the device


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one phase is."""

    total: int = 0
    reused: int = 0  #: finished in an earlier session; in no rate
    done: int = 0  #: in this session
    failed: int = 0
    busy: float = 0.0  #: seconds the device worked for it
    worked: float = 0.0  #: seconds of its finished spells
    since: float | None = None  #: when its present spell began
    due: int = 0  #: left to do in its present spell
    expected: float | None = None  #: seconds of one item, known from earlier runs
    recent: tuple[Sample, ...] = ()
    beats: tuple[int, ...] = ()  #: items finished in each span of work, all of one length
    beat: float = 1.0  #: seconds of a span; doubles whenever there are too many of them

    @property
    def finished(self) -> int:
        return self.reused + self.done

    @property
    def left(self) -> int:
        return max(0, self.total - self.finished - self.failed)

    @property
    def rate(self) -> float | None:
        """Items a second while the phase goes on; None until some are done."""
        if len(self.recent) < KNOWN:
            return None
        span = self.recent[-1].worked - self.recent[0].worked
        return (len(self.recent) - 1) / span if span > 0 else None

    def seconds_for(self, items: int) -> float | None:
        """Return how long so many items will take; None while there is nothing to go by."""
        if not items:
            return 0.0
        if self.rate:
            return items / self.rate
        return None if self.expected is None else items * self.expected

    @property
    def seconds_left(self) -> float | None:
        return self.seconds_for(self.left)

    def pace(self, most: int) -> list[int]:
        """Return how many items were finished in spans of equal length, the first to the last.

        At most so many spans, and each long enough that a steady pace looks steady.
        """
        whole = self.beats[:-1]  # the last one is not over
        if most < 1 or not sum(whole):
            return []
        group = max(-(-len(whole) // most), math.ceil(STEADY * len(whole) / sum(whole)))
        return [sum(whole[at : at + group]) for at in range(0, len(whole) - group + 1, group)]

    def quantile(self, share: float) -> float | None:
        """Return the seconds on the device that this share of recent items stays below."""
        return middle([sample.seconds for sample in self.recent], share)

    def start(self, time: float, items: int = 0) -> Progress:
        return replace(self, since=time, due=items)

    def end(self, time: float) -> Progress:
        return replace(self, since=None, due=0, worked=self._worked(time))

    def finish(self, time: float, seconds: float | None, *, failed: bool = False) -> Progress:
        """Count an item; one without a known duration is in no rate."""
        recent = list(self.recent)
        if seconds is not None:
            recent.append(Sample(self._worked(time), seconds))
        while len(recent) > MOST or (
            len(recent) > FEWEST and recent[-1].worked - recent[0].worked > WINDOW
        ):
            del recent[0]
        return replace(
            self,
            done=self.done + (not failed),
            failed=self.failed + failed,
            due=max(0, self.due - 1),
            busy=self.busy + (seconds or 0.0),
            recent=tuple(recent),
        )._beat(self._worked(time))

    def _beat(self, worked: float) -> Progress:
        beats, beat = list(self.beats), self.beat
        while worked >= beat * BEATS:
            beats = [sum(beats[at : at + 2]) for at in range(0, len(beats), 2)]
            beat *= 2
        now = int(worked / beat)
        beats += [0] * (now + 1 - len(beats))
        beats[now] += 1
        return replace(self, beats=tuple(beats), beat=beat)

    def _worked(self, time: float) -> float:
        return self.worked + (max(0.0, time - self.since) if self.since is not None else 0.0)


@dataclass(frozen=True, slots=True)
class Mean:
    """A running mean (Welford's), so that a display needs no list of scores."""

    n: int = 0
    value: float = 0.0
    squares: float = 0.0  #: summed squared distances from the mean

    @classmethod
    def of(cls, n: int, total: float, squares: float) -> Mean:
        """Return the mean of ``n`` scores with this sum and this sum of squares."""
        if not n:
            return cls()
        return cls(n, total / n, max(0.0, squares - total**2 / n))

    def add(self, score: float) -> Mean:
        n = self.n + 1
        value = self.value + (score - self.value) / n
        return Mean(n, value, self.squares + (score - self.value) * (score - value))

    def join(self, other: Mean) -> Mean:
        """Return the mean of both (Chan's formula)."""
        if not (n := self.n + other.n):
            return self
        apart = other.value - self.value
        return Mean(
            n,
            self.value + apart * other.n / n,
            self.squares + other.squares + apart**2 * self.n * other.n / n,
        )

    @property
    def margin(self) -> float | None:
        """Half of Student's 95 % interval; None under a few scores or without spread."""
        if self.n < SCORED or self.squares <= 0:
            return None
        from scipy.special import stdtrit

        return float(stdtrit(self.n - 1, 0.975)) * math.sqrt(self.squares / (self.n - 1) / self.n)
