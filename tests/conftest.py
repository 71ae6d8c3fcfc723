"""How much the property tests draw, and a cache of their own for all tests.

``HYPOTHESIS_PROFILE`` chooses: ``ci`` (the default) draws the same hundred cases every time, ``thorough`` thousands of
new ones, ``interpreted`` (the default without numba's compiler) the few that pure Python can bear.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Some tests run benchmarks' code. At the end of the path, so that accelsim itself is the one that is installed.
sys.path.append(str(Path(__file__).parents[1]))

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=SLOW)
settings.register_profile("thorough", max_examples=5000, deadline=None, suppress_health_check=SLOW)
settings.register_profile("interpreted", max_examples=8, deadline=None, derandomize=True, suppress_health_check=SLOW)

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "interpreted" if INTERPRETED else "ci"))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep solved layers in a folder of this run: an answer from an older one would test nothing."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCELSIM_CACHE_DIR", str(folder))
        yield folder
