"""What crosses the boundary to the kernels: named tuples of plain arrays, and the columns of a count vector.

Kept apart from the kernels so that a result that is read from the cache needs no numba. Numba's cache of compiled
kernels does not see this file: after a change here, touch ``kernels.py``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np


class LayerArrays(NamedTuple):
    """A layer as kernels see it.

    Attributes:
        dims: int64[8].
        stride: int64[2], vertical and horizontal, as the following ones.
        dilation: int64[2].
        pad: int64[2], padding before the first pixel.
        size: int64[2], real pixels of the input.
        dram_words: float64[3], machine words in DRAM for one word of W, of I, and of finished outputs.
    """

    dims: np.ndarray
    stride: np.ndarray
    dilation: np.ndarray
    pad: np.ndarray
    size: np.ndarray
    dram_words: np.ndarray


class MachineArrays(NamedTuple):
    """A machine with one of its dataflows as kernels see it.

    Attributes:
        axis_dims: int64[2], dims unrolled over rows and cols.
        axis_sizes: int64[2], rows and cols.
        split: int64[8], RF tile of each dim (1 unless the dim's inner loop is bounded by the RF).
        inside: bool[3, 8], whether the dim's loop runs inside the place of the operand's RF tile.
        kept: int64, operand whose RF tile is innermost; chunks are the runs between its changes.
        kept_hidden: bool, whether its next tile is loaded while the array computes.
        in_rf: bool[3], whether the register files keep the operand; else it streams by.
        switch_cycles: float64, cycles that the array stands still when that tile changes.
        skip_density: float64, share of iterations that zero skipping leaves.
        skip_table: float64[2, splits + 1, iterations + 1], for chunks with that many RF-held indices: the
            probability that at most so many iterations are left, and the mean of those left in these cases.
        buffer_words: int64, capacity of the buffer.
        dram_words_per_cycle: float64.
        dram_latency: float64, cycles.
        read_port: float64, words per cycle from the buffer to the array.
        write_port: float64, words per cycle from the array to the buffer.
        unit_energy: float64[len(Count)], energy of one of each count.
    """

    axis_dims: np.ndarray
    axis_sizes: np.ndarray
    split: np.ndarray
    inside: np.ndarray
    kept: int
    kept_hidden: bool
    in_rf: np.ndarray
    switch_cycles: float
    skip_density: float
    skip_table: np.ndarray
    buffer_words: int
    dram_words_per_cycle: float
    dram_latency: float
    read_port: float
    write_port: float
    unit_energy: np.ndarray


class Count(IntEnum):
    """Columns of a count vector: words, except the two kinds of MAC."""

    MAC = 0
    MAC_SKIPPED = 1
    RF_READ_W = 2
    RF_READ_I = 3
    RF_READ_O = 4
    RF_WRITE_W = 5
    RF_WRITE_I = 6
    RF_WRITE_O = 7
    LINK = 8
    GLB_READ_W = 9
    GLB_READ_I = 10
    GLB_READ_O = 11
    GLB_WRITE_W = 12
    GLB_WRITE_I = 13
    GLB_WRITE_O = 14
    DRAM_READ_W = 15
    DRAM_READ_I = 16
    DRAM_READ_O = 17
    DRAM_WRITE_O = 18
