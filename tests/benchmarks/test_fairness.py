"""Every process that writes to the SQLite file gets its turn, however fast the others come back."""

from __future__ import annotations

from tests.benchmarks.fairness import WRITERS, measured


def test_gateway_job_child_and_command_line_each_get_their_share_of_turns() -> None:
    found = measured(1.5, turnstile=True)
    assert {each.writer for each in found} == set(WRITERS)
    assert sum(each.turns for each in found) > 20
    # Each comes back at once, so turns are taken round: a writer that is passed over is far below a third.
    assert all(each.share > 0.1 for each in found), found
