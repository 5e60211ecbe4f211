"""A home with an empty database, for processes to share; the databases that faults are tried on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.databases import database_url

__all__ = ["database_url"]


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> Path:
    shutil.copy(empty_database, tmp_path / "backbridge.sqlite")
    return tmp_path
