"""The chip: ``hwconfigs/eyeriss.yaml``."""

from __future__ import annotations

from functools import cache

from accelsim.hardware.loader import load_hardware
from accelsim.hardware.spec import Hardware
from accelsim.mapping.hierarchy import Machine
from accelsim.mapping.machine import machine_of

GLB, FILTERS, FILTER_SPAD, SPAD = "GLB", "FILTERS", "FILTER_SPAD", "SPAD"
"""Names of its memories below DRAM."""


@cache
def hardware() -> Hardware:
    """Return the description."""
    return load_hardware("eyeriss")


def eyeriss() -> Machine:
    """Return the machine."""
    return machine_of(hardware())
