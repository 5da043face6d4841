"""What every trial has: a suite, and what an undisturbed run over it comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.sessions import PAIRS, Place, write_suite


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suite(tmp_path_factory.mktemp("suite"), PAIRS)


@pytest.fixture(scope="session")
def undisturbed(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run that nothing happened to."""
    place = Place(tmp_path_factory.mktemp("quiet"), suite)
    session = place.finish()
    assert session.code == 0, session.err
    assert place.check_work() == 0
    assert session.events[-1]["swaps"] == 1
    return place


@pytest.fixture
def place(suite: Path, tmp_path: Path) -> Place:
    return Place(tmp_path / "loud", suite)
