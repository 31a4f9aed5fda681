"""The rate file beside the rules: what one unit of a currency is worth, by date."""

import csv
import re
from datetime import date
from math import isfinite
from typing import Final

from app.rules.errors import Report

MAX_BYTES: Final = 10_000_000
HEADER: Final = ["date", "currency", "rate"]

Rates = dict[str, tuple[tuple[str, float], ...]]
"""Currency → (ISO date, value of 1 unit in the rules' currency), by date."""


def read_rates(text: str, file: str) -> tuple[Rates, Report]:
    """Read `date,currency,rate`; blank lines are skipped, and a problem names the line."""
    report = Report(file)
    if len(text) > MAX_BYTES:
        report.add(1, 1, "", "more than 10,000,000 characters", "a smaller rate file")
        return {}, report
    rates: dict[str, dict[str, float]] = {}
    lines = csv.reader(text.removeprefix("\ufeff").splitlines())
    try:
        header = next(lines, [])
        if [name.strip().lower() for name in header] != HEADER:
            report.add(1, 1, "", f'the header "{",".join(header)[:60]}"', "date,currency,rate")
            return {}, report
        for row in lines:
            if any(cell.strip() for cell in row):
                _read_line([cell.strip() for cell in row], lines.line_num, rates, report)
    except csv.Error as error:
        report.add(lines.line_num, 1, "", f"a broken line ({error})", "date,currency,rate")
    return {currency: tuple(sorted(days.items())) for currency, days in sorted(rates.items())}, report


def _read_line(row: list[str], line: int, rates: dict[str, dict[str, float]], report: Report) -> None:
    if len(row) != len(HEADER):
        report.add(line, 1, "", f"{len(row)} values", "three, date,currency,rate")
        return
    day, currency, rate = row
    # A currency that is no longer in use has rates all the same, so its form is checked and not its name.
    if not _is_date(day):
        report.add(line, 1, "date", f'"{day[:60]}"', "a date such as 2026-01-31")
    elif not re.fullmatch(r"[A-Z]{3}", currency):
        report.add(line, 1, "currency", f'"{currency[:60]}"', "a currency code such as USD")
    elif (value := _positive(rate)) is None:
        report.add(line, 1, "rate", f'"{rate[:60]}"', "a number above 0")
    elif day in rates.setdefault(currency, {}):
        report.add(line, 1, "", f"{currency} on {day} a second time", "one rate a currency and day")
    else:
        rates[currency][day] = value


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _positive(text: str) -> float | None:
    if not re.fullmatch(r"[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?", text):
        return None
    value = float(text)
    return value if value > 0 and isfinite(value) else None
