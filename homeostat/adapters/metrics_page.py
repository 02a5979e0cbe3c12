"""A running instance's ``/metrics``, read back."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from homeostat.errors import TransientError


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of the page."""

    name: str
    labels: Mapping[str, str]
    value: float


def fetch(url: str, timeout_s: float = 2.0) -> str:
    """Return the text of a metrics page.

    Raises:
        TransientError: Nobody answers there in time.
    """
    try:
        with urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - the address is our own instance's
            body: bytes = answer.read()
    except (URLError, OSError, HTTPException) as error:
        raise TransientError(f"no metrics at {url}: {error}") from error
    return body.decode(errors="replace")


def samples(text: str, names: Collection[str]) -> list[Sample]:
    """Return the samples of some families; the rest of a page of thousands of lines is not parsed."""
    wanted = "\n".join(line for line in text.splitlines() if line.startswith(tuple(names)))
    return [
        Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(wanted + "\n")
        for sample in family.samples
        if sample.name in names
    ]
