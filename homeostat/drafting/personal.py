"""Columns that look like personal data, by their names and by what their cells look like."""

import re
from collections.abc import Callable
from typing import Final

import polars as pl

from homeostat.drafting.columns import Column

_LOOKED_AT: Final = 500
_MOST: Final = 0.6  # of the cells looked at must have the form
_SHORTEST: Final = 1e6  # of a phone's number or an identity's
_NAMES: Final = (
    (r"(?:^|_)(?:ssn|social_security(?:_\w+)?|national_id|passport\w*|tax_id|nino)(?:_|$)", "an identity number"),
    (r"(?:^|_)(?:birth\w*|dob|birthday|date_of_birth|yob)(?:_|$)", "a date of birth"),
    (
        r"(?:^|_)(?:first|last|full|middle|given|family|maiden|sur|user|customer|client|patient|employee)_?name(?:_|$)",
        "a person's name",
    ),
    (r"^(?:name|nick_?name|holder|person)$", "a person's name"),
    (r"(?:^|_)(?:e_?mail\w*)(?:_|$)", "an e-mail address"),
    (r"(?:^|_)(?:phone\w*|mobile\w*|telephone\w*|cell_?phone|fax|msisdn)(?:_|$)", "a phone number"),
    (r"(?:^|_)(?:iban|bank_account\w*|account_number|card_number|credit_card\w*|cvv)(?:_|$)", "a bank account"),
    (r"(?:^|_)(?:ip|ip_?addr\w*|ip_?address|mac_?address|imei|imsi)(?:_|$)", "the address of a device"),
    (r"(?:^|_)(?:street\w*|home_address|address\d?|address_line\w*|postal_address)(?:_|$)", "a postal address"),
    (r"(?:^|_)(?:driver_?licen[cs]e\w*|licen[cs]e_plate|number_plate)(?:_|$)", "a licence"),
)  # fmt: skip
_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}")
_IPV4: Final = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
_IPV6: Final = re.compile(r"(?=.*:.*:.*:|.*::)[0-9a-fA-F:]{4,39}")
_SSN: Final = re.compile(r"\d{3}-\d{2}-\d{4}")
_PHONE: Final = re.compile(r"(?:\+|00)\d[\d\s().-]{7,16}\d|\(\d{3}\) ?\d{3}-\d{4}|\d{3}[-.]\d{3}[-.]\d{4}")
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_CARD: Final = re.compile(r"[3-6]\d{12,18}")


def personal_data(column: Column) -> str | None:
    """Return what personal data a column looks like, None where it looks like none."""
    if column.type in ("boolean", "number"):
        return None
    by_name = next((what for pattern, what in _NAMES if re.search(pattern, column.name)), None)
    if by_name and (column.type != "integer" or _long_numbers(column) or "birth" in by_name):
        return f"{by_name}, by its name"
    if column.type == "time":
        return None
    cells = column.cells.cast(pl.String).drop_nulls().unique(maintain_order=True).head(_LOOKED_AT).to_list()
    return next((f"{what}, by its cells" for what, fits in _FORMS if _mostly(cells, fits)), None)


def _long_numbers(column: Column) -> bool:
    """Return whether whole numbers are as long as a phone's, so that they don't count e-mails or calls."""
    middle = column.values.abs().median()
    return isinstance(middle, float) and middle >= _SHORTEST


def _mostly(cells: list[str], fits: Callable[[str], bool]) -> bool:
    return bool(cells) and sum(map(fits, cells)) >= _MOST * len(cells)


def _is_iban(cell: str) -> bool:
    """Return whether the checksum of ISO 13616 holds."""
    plain = cell.replace(" ", "").upper()
    if not _IBAN.fullmatch(plain):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _is_card(cell: str) -> bool:
    """Return whether the checksum of Luhn (ISO/IEC 7812) holds."""
    plain = cell.replace(" ", "").replace("-", "")
    if not (plain.isascii() and _CARD.fullmatch(plain)):
        return False
    doubled = [int(c) * (2 if i % 2 else 1) for i, c in enumerate(reversed(plain))]
    return sum(n - 9 * (n > 9) for n in doubled) % 10 == 0


_FORMS: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    ("an e-mail address", lambda cell: _EMAIL.fullmatch(cell) is not None),
    ("the address of a device", lambda cell: _IPV4.fullmatch(cell) is not None),
    ("the address of a device", lambda cell: _IPV6.fullmatch(cell) is not None),
    ("a social security number", lambda cell: _SSN.fullmatch(cell) is not None),
    ("a bank account", _is_iban),
    ("a bank card", _is_card),
    ("a phone number", lambda cell: _PHONE.fullmatch(cell) is not None),
)
