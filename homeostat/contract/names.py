"""Names: what a column of a file is called in a contract, and what an error text says about one that isn't known."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from hashlib import sha256

MAX_LISTED = 25  # names in one line of an error text
_VALID = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)  # the pattern of ``homeostat.contract.model.Name``
_LONGEST = 63
_HASH_CHARS = 8  # of a name that lost something, so that two such names stay different


def slug(column: str) -> str:
    """Return the name a column of a file has in a contract; a valid name is its own.

    A file and a contract belong together by it: the column of a name is the one whose slug is that name. A
    name that loses letters, or is too long, ends with a hash of the whole.

    >>> slug("arr_time"), slug("Sepal Length (cm)"), slug("customerID"), slug("2nd floor")
    ('arr_time', 'sepal_length_cm', 'customer_id', 'c_2nd_floor')
    >>> slug("名前")
    'c_7ec26292'
    """
    if _VALID.fullmatch(column):
        return column
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", column)
    plain = "".join(c for c in unicodedata.normalize("NFKD", parted.casefold()) if not unicodedata.combining(c))
    lost = any(not c.isascii() and c.isalnum() for c in plain)
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    name = name if name[:1].isalpha() else f"c_{name}".rstrip("_")
    if lost or not any(map(str.isalnum, plain)) or len(name) > _LONGEST:
        digest = sha256(column.encode(errors="surrogatepass")).hexdigest()[:_HASH_CHARS]
        name = f"{name[: _LONGEST - _HASH_CHARS - 1].rstrip('_')}_{digest}"
    return name


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name most like ``name``, or None where nothing is like it.

    >>> nearest("flase_discovery_rate", ["false_discovery_rate", "min_rows"])
    'false_discovery_rate'
    """
    names = {valid_name.casefold(): valid_name for valid_name in sorted(valid)}
    matches = get_close_matches(name.casefold(), names, n=1)
    return names[matches[0]] if matches else None


def suggestion(name: str, valid: Iterable[str]) -> str:
    """Return ``did you mean '...'?``, or what was expected where nothing is near.

    >>> suggestion("origen", ["origin", "dest"])
    "did you mean 'origin'?"
    >>> suggestion("x", ["origin", "dest"])
    'expected one of dest, origin'
    """
    names = sorted(set(valid))
    if (near := nearest(name, names)) is not None:
        return f"did you mean '{near}'?"
    listed = ", ".join(names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")
    return f"expected one of {listed}" if names else "there are none"
