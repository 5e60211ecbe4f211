"""
Memory and speed of an import. BACKBRIDGE_BENCH_MB sets the size of the export (default 40 MB).

A large run, with figures: BACKBRIDGE_BENCH_MB=1000 pytest -s tests/benchmarks/test_apple_health_memory.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MEGABYTES = int(os.environ.get("BACKBRIDGE_BENCH_MB", "40"))
GROWTH_CAP_MB = 60
BYTES_PER_DAY = 395_000
HEART_RATES_PER_DAY = 800

IMPORT_ALONE = """
import json, sys, time
from datetime import UTC, datetime
from pathlib import Path
from sensors.days import summarise
from sensors.importers.apple_health import read

def megabytes(field):
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(field))
    return int(line.split()[1]) / 1024

before, started = megabytes("VmRSS"), time.process_time()
seen = []
records = read(sys.argv[1], progress=lambda *state: seen.__setitem__(slice(None), state))
took = time.process_time() - started
days = summarise(records, now=datetime.now(UTC))
print(json.dumps({
    "bytes": seen[1], "records": len(records), "read_s": took,
    "summarise_s": time.process_time() - started - took,
    "growth_mb": megabytes("VmHWM") - before,
    "totals": {day.date.isoformat(): day.steps for day in days},
}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured from Linux' /proc")
@pytest.mark.timeout(1800)
def test_memory_of_an_import_does_not_grow_with_the_export(tmp_path):
    sys.path.insert(0, str(REPOSITORY / "tests/sensors"))
    from synthetic_export import write_export

    path = tmp_path / "export.zip"
    days = max(MEGABYTES * 1_000_000 // BYTES_PER_DAY, 1)
    truth = write_export(path, days=days, seed=1, start=date(2015, 1, 1), heart_rates_per_day=HEART_RATES_PER_DAY)
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE, path],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    path.unlink()
    result = json.loads(run.stdout)
    assert result.pop("totals") == {day.isoformat(): steps for day, steps in truth.items()}
    print(result, f"{result['bytes'] / result['read_s'] / 1e6:.0f} MB/s")
    assert result["bytes"] > 0.8 * MEGABYTES * 1e6
    assert result["growth_mb"] < GROWTH_CAP_MB
