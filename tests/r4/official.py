"""The official R4 examples and the public validator cases, as the tests read them."""

import csv
import json
import tarfile
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

R4 = Path(__file__).parents[3] / "shared" / "data" / "fhir-r4"
EXAMPLES = R4 / "examples-shared.tar.xz"
SYNTHEA = R4.parent / "synthea" / "bundles-shared.tar.xz"
VALIDATOR_CASES = R4 / "validator-cases-shared.tar.xz"
needs_r4 = pytest.mark.skipif(not EXAMPLES.exists(), reason="the R4 examples are not beside the repository")


@cache
def members_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
        return {name.removeprefix("./"): file.read() for name, file in files if file is not None}


def example_texts() -> dict[str, bytes]:
    """Every official example of the shared half, by Type/file name."""
    return {name: text for name, text in members_of(EXAMPLES).items() if name.endswith(".json")}


def example(name: str) -> Any:
    """One official example, fresh: Patient-mom."""
    return json.loads(members_of(EXAMPLES)[f"{name.partition('-')[0]}/{name}.json"])


def validator_cases() -> list[dict[str, Any]]:
    """The manifest of the validator cases, each with the text of its file."""
    members = members_of(VALIDATOR_CASES)
    manifest: list[dict[str, Any]] = json.loads(members["manifest.json"])
    return [{**case, "text": members[case["file"]]} for case in manifest]


def synthea_bundles(count: int) -> Iterator[bytes]:
    """The texts of the first transaction Bundles of synthetic patients."""
    with tarfile.open(SYNTHEA) as tar:
        files = (tar.extractfile(member) for member in tar if member.name.endswith(".json"))
        yield from (file.read() for file in islice(files, count) if file is not None)


def fixture_rows(name: str) -> list[dict[str, str]]:
    """The rows of a table beside the tests."""
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))
