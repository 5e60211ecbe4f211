"""One row of the audit of reads, the same on both databases."""

from __future__ import annotations

Row = tuple[int, str, str, str, int, str, str, str, int, str, int, str, int]

# The columns in the order of a Row. What was read is not among them, only whose it was and who asked.
COLUMNS: dict[str, type] = {
    "at": int,
    "agent": str,
    "organization": str,
    "client": str,
    "purpose": int,
    "activity": str,
    "request_id": str,
    "interaction": str,
    "type": int,
    "resource_id": str,
    "patient": int,
    "origin": str,
    "bypass": int,
}
LOOKS = (
    "SELECT at, agent, organization, client, purpose, interaction, type, bypass FROM read_audit"
    " WHERE patient = ? ORDER BY at DESC, id DESC LIMIT ?"
)
