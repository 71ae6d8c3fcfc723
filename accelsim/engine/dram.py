"""A DRAM with banks, rows and refresh, as an option behind the DMA in place of a latency and a bandwidth.

An open-page controller serves the words of a transfer in the order of their addresses, in whole bursts. Rows of one
bank after the other hold consecutive addresses. A row that is not open costs a precharge and an activation, which begin
when the row before starts to stream if it is in another bank, else when it has been streamed. Every refresh interval
all banks close and wait. Commands share no bus, and reads and writes turn the bus around at no cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from accelsim.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DramTimings:
    """One kind of DRAM; times in nanoseconds.

    Attributes:
        name: Name.
        source: Where the figures come from.
        banks: Banks.
        row_bytes: Bytes of a row over all chips of the channel.
        burst_bytes: Bytes of a burst.
        burst_ns: Time of a burst on the data bus.
        precharge_ns: tRP.
        activate_ns: tRCD.
        refresh_ns: tRFC, all banks.
        refresh_interval_ns: tREFI.
    """

    name: str
    source: str
    banks: int
    row_bytes: int
    burst_bytes: int
    burst_ns: float
    precharge_ns: float
    activate_ns: float
    refresh_ns: float
    refresh_interval_ns: float


DDR4_2400 = DramTimings(
    name="ddr4",
    source="JEDEC JESD79-4, DDR4-2400R (16-16-16 at 0.833 ns), 8 Gb x8, a channel of 64 bits",
    banks=16,
    row_bytes=8192,
    burst_bytes=64,
    burst_ns=4 * 0.833,
    precharge_ns=16 * 0.833,
    activate_ns=16 * 0.833,
    refresh_ns=350.0,
    refresh_interval_ns=7800.0,
)
LPDDR4_3200 = DramTimings(
    name="lpddr4",
    source="JEDEC JESD209-4, LPDDR4-3200, 8 Gb, two channels of 16 bits side by side",
    banks=8,
    row_bytes=4096,
    burst_bytes=64,
    burst_ns=8 * 0.625,
    precharge_ns=18.0,
    activate_ns=18.0,
    refresh_ns=280.0,
    refresh_interval_ns=3904.0,
)
DRAMS = {timings.name: timings for timings in (DDR4_2400, LPDDR4_3200)}
"""Kinds of DRAM by name."""


def dram(name: str) -> DramTimings:
    """Return a kind of DRAM.

    Raises:
        InputError: There is none of that name.
    """
    if name not in DRAMS:
        raise InputError(f"unknown DRAM {name!r}; known are {', '.join(DRAMS)}")
    return DRAMS[name]


@dataclass(kw_only=True)
class BankedDram:
    """A DRAM at work.

    Attributes:
        timings: What it is.
        row_hits: Runs of bursts that found their row open.
        row_misses: Those that did not.
        refreshes: Refreshes.
    """

    timings: DramTimings
    row_hits: int = 0
    row_misses: int = 0
    refreshes: int = 0
    _open: dict[int, int] = field(default_factory=dict)
    _now: float = 0.0
    _row_since: float = 0.0
    _bank: int = -1
    _refresh_at: float = 0.0

    def __post_init__(self) -> None:
        self._refresh_at = self.timings.refresh_interval_ns

    def transfer_ns(self, first_bytes: np.ndarray, run_bytes: int) -> float:
        """Return the time of a transfer: runs of consecutive bytes, one after the other.

        Args:
            first_bytes: int64[runs], where every run starts.
            run_bytes: Bytes of a run.
        """
        begin, timings = self._now, self.timings
        for first in first_bytes.tolist():
            burst = first // timings.burst_bytes
            last = -(-(first + run_bytes) // timings.burst_bytes)
            per_row = timings.row_bytes // timings.burst_bytes
            while burst < last:
                line = burst // per_row
                count = min(last, (line + 1) * per_row) - burst
                self._serve(line % timings.banks, line // timings.banks, count)
                burst += count
        return self._now - begin

    def _serve(self, bank: int, row: int, bursts: int) -> None:
        timings = self.timings
        if self._now >= self._refresh_at:
            missed = 1 + math.floor((self._now - self._refresh_at) / timings.refresh_interval_ns)
            self._now += timings.refresh_ns
            self._refresh_at += missed * timings.refresh_interval_ns
            self.refreshes += 1
            self._open.clear()
        if self._open.get(bank) == row:
            self.row_hits += 1
        else:
            self.row_misses += 1
            since = self._row_since if bank != self._bank else self._now
            ready = since + (timings.precharge_ns if bank in self._open else 0.0) + timings.activate_ns
            self._now = max(self._now, ready)
            self._open[bank] = row
        self._row_since, self._bank = self._now, bank
        self._now += bursts * timings.burst_ns


def runs_of(shape: tuple[int, ...], box: tuple[slice, ...]) -> tuple[np.ndarray, int]:
    """Return where the runs of consecutive words of a part of a row-major tensor start, and their common length."""
    length, axis = 1, len(shape)
    while axis:
        axis -= 1
        extent = box[axis].stop - box[axis].start
        length *= extent
        if extent != shape[axis]:
            break
    if not length:
        return np.zeros(0, dtype=np.int64), 0
    steps = [math.prod(shape[position + 1 :]) for position in range(len(shape))]
    first = np.array([sum(part.start * step for part, step in zip(box, steps, strict=True))], dtype=np.int64)
    for part, step in zip(box[:axis], steps[:axis], strict=True):
        first = (first[:, None] + np.arange(part.stop - part.start) * step).ravel()
    return first, length
