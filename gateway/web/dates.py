"""Days and times as people say them, in the installation's time zone and the reader's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from gateway.web.messages import Messages


@dataclass(frozen=True)
class Dates:
    """zone is where the people are; now is aware."""

    messages: Messages
    zone: ZoneInfo
    now: datetime

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def long(self, day: date) -> str:
        """21 November 2026."""
        return self.messages("date.long", day=day.day, month=self._month(day), year=day.year)

    def short(self, day: date) -> str:
        """Sat 21 Nov."""
        weekday = self.messages(f"date.weekday.{day.isoweekday()}")[:3]
        return self.messages("date.short", weekday=weekday, day=day.day, month=self._month(day)[:3])

    def axis(self, day: date) -> str:
        """21 Nov, for the axis of a chart."""
        return self.messages("date.axis", day=day.day, month=self._month(day)[:3])

    def weekday(self, day: date) -> str:
        return self.messages(f"date.weekday.{day.isoweekday()}")

    def moment(self, moment: datetime) -> str:
        """21 November 2026 at 14:05."""
        local = moment.astimezone(self.zone)
        return self.messages("date.moment", day=self.long(local.date()), time=f"{local:%H:%M}")

    def clock(self, moment: datetime) -> str:
        return f"{moment.astimezone(self.zone):%H:%M}"

    def day_of(self, moment: datetime) -> date:
        """The local day of a moment."""
        return moment.astimezone(self.zone).date()

    def age(self, born: date) -> int:
        """Completed years."""
        return self.today.year - born.year - ((self.today.month, self.today.day) < (born.month, born.day))

    def _month(self, day: date) -> str:
        return self.messages(f"date.month.{day.month}")


def moment_of(microseconds: int) -> datetime:
    """A time of the store as an aware datetime."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def read_moment(text: str) -> datetime:
    """
    A FHIR date or dateTime as a moment; a day without a time is its noon in UTC, the same day everywhere we serve.

    raises  ValueError
    """
    if len(text) <= len("2026-01-01"):
        padded = text + "-01-01"[len(text) - len("2026") :]
        return datetime.fromisoformat(f"{padded}T12:00:00+00:00")
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
