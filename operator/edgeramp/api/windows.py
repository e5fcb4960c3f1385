"""Maintenance windows: the times in which a ramp may grow."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgeramp.api.common import ApiPart, Cel, cel

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_TIME_HELP = "write a time of day from 00:00 to 23:59, in quotes"
TimeOfDay = Annotated[
    str,
    Field(
        max_length=5,
        json_schema_extra=cel("self.matches(r'^([01][0-9]|2[0-3]):[0-5][0-9]$')", _TIME_HELP),
    ),
]


class Window(ApiPart):
    """From one time of day to another, on the next day where that is earlier."""

    days: Annotated[list[Day], Field(max_length=7)] = Field(default_factory=list)
    """Days on which the window opens; every day when left out."""
    start: TimeOfDay
    """When it opens, as "22:00"."""
    end: TimeOfDay
    """When it closes; earlier than start: on the next day."""
    time_zone: Annotated[
        str,
        Field(
            max_length=64,
            json_schema_extra=cel(
                r"self.matches(r'^[A-Za-z][A-Za-z0-9_+/-]*$')",
                "write a time zone of the IANA database, such as Europe/Berlin or UTC",
            ),
        ),
    ] = "UTC"
    """Whose clock that is: a name of the IANA time zone database."""

    CEL: ClassVar[tuple[Cel, ...]] = (
        Cel(
            "self.start != self.end",
            "start and end are the same; for the whole day leave the window out",
            ".end",
        ),
        Cel(
            "!has(self.days) || self.days.all(a, self.days.exists_one(b, a == b))",
            "name each day once",
            ".days",
        ),
    )
