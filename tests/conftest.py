"""What every test gets: a home of its own, one thread, and no way to the network's hubs."""

from __future__ import annotations

import os

# Read when torch is first imported. Two threads are far slower than one on tiny models.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "editbench", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("editbench")


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose tiny checkpoints are built once for all tests."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _own_environment(
    monkeypatch: pytest.MonkeyPatch, shared_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("EDITBENCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EDITBENCH_HOME", str(shared_home))
    yield


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def shared_data() -> Path:
    """Real inputs beside the checkout; tests that need them say so when they are absent."""
    found = Path(__file__).parents[1].parent / "shared" / "data"
    if not found.is_dir():
        pytest.skip(f"the real inputs are not at {found}")
    return found


@pytest.fixture
def data() -> Path:
    return shared_data()
