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
    recent: tuple[Sample, ...] = ()

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

    @property
    def seconds_left(self) -> float | None:
        if not self.left:
            return 0.0
        return self.left / self.rate if self.rate else None

    def quantile(self, share: float) -> float | None:
        """Return the seconds on the device that this share of recent items stays below."""
        return middle([sample.seconds for sample in self.recent], share)

    def start(self, time: float) -> Progress:
        return replace(self, since=time)

    def end(self, time: float) -> Progress:
        return replace(self, since=None, worked=self._worked(time))

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
            busy=self.busy + (seconds or 0.0),
            recent=tuple(recent),
        )

    def _worked(self, time: float) -> float:
        return self.worked + (time - self.since if self.since is not None else 0.0)


@dataclass(frozen=True, slots=True)
class Mean:
    """A running mean (Welford's), so that a display needs no list of scores."""

    n: int = 0
    value: float = 0.0
    squares: float = 0.0  #: summed squared distances from the mean

    def add(self, score: float) -> Mean:
        n = self.n + 1
        value = self.value + (score - self.value) / n
        return Mean(n, value, self.squares + (score - self.value) * (score - value))

    @property
    def margin(self) -> float | None:
        """Half of Student's 95 % interval; None under a few scores or without spread."""
        if self.n < SCORED or self.squares <= 0:
            return None
        from scipy.special import stdtrit

        return float(stdtrit(self.n - 1, 0.975)) * math.sqrt(self.squares / (self.n - 1) / self.n)
