"""What an instance was sent, from its own event log, as a recording that can be played again."""

from typing import Final

import msgspec
import numpy as np
import polars as pl

from homeostat.codec import decode_all
from homeostat.contract.model import Contract
from homeostat.contract.names import suggestion
from homeostat.errors import HomeostatError, InvalidRecordError
from homeostat.flow import EXTERNAL
from homeostat.ports import EventLog
from homeostat.records import RawEvent, RawLabel
from homeostat.replay.recording import Recording, Track, to_us
from homeostat.tail import Tail

_LOOKED_AT: Final = 2_000  # messages from which it is plain what producers send


def load_log(log: EventLog, product: str) -> Recording:
    """Return the raw events and labels that a log keeps, known by the times they were appended at.

    Args:
        log: Only read.
        product: Whose topics.

    Raises:
        HomeostatError: The log keeps no event.
    """
    tail = Tail(log, product)
    recording = Recording(*(_track(tail, topic) for topic in EXTERNAL))
    if not len(recording.events):
        raise HomeostatError(f"the event log keeps no event of '{product}': name a recorded FILE, or wait for traffic")
    return recording


def check_fields(recording: Recording, contract: Contract) -> None:
    """See that recorded messages have what a contract, perhaps another than they were sent by, has to find in them.

    Raises:
        HomeostatError: A field is in none of them; the message names all such fields.
    """
    event, label = contract.event, contract.label
    needed = [event.id, event.time, *(name for name, field in event.fields.items() if not field.nullable)]
    told = [label.id, label.time, label.field]
    missing = [
        f"{kind}: '{name}' ({suggestion(name, found)})"
        for kind, names, track in (("events", needed, recording.events), ("labels", told, recording.labels))
        for found in [_names(track)]
        for name in names
        if found and name not in found
    ]
    if missing:
        raise HomeostatError(
            f"the contract of '{contract.product}' asks for fields that the recorded messages do not have - "
            f"{'; '.join(missing)}. Rename or drop them in the contract, or make them nullable"
        )


def _names(track: Track) -> set[str]:
    """Return the fields of messages spread over a track."""
    spread = np.unique(np.linspace(0, len(track), _LOOKED_AT, endpoint=False, dtype=int)) if len(track) else ()
    decode = msgspec.json.Decoder().decode
    names: set[str] = set()
    for i in map(int, spread):
        try:
            found = decode(track.values[i])
        except msgspec.DecodeError:  # it is refused again, as it was then
            continue
        names |= set(found) if isinstance(found, dict) else set()
    return names


def _track(tail: Tail, topic: str) -> Track:
    times: list[int] = []
    values: list[bytes] = []
    for message in tail.messages(topic):
        try:
            records = decode_all(topic, message.value, message.headers)
        except InvalidRecordError:  # nobody could read it then either
            continue
        rows = [record.value for record in records if isinstance(record, RawEvent | RawLabel)]
        values += rows
        # A look at T saw what was appended at T, while a recording is played up to what was known before T.
        times += [to_us(message.time) - 1] * len(rows)
    ascending = np.maximum.accumulate(np.asarray(times, dtype=np.int64))  # clocks of several writers may step back
    return Track(ascending, pl.Series(values, dtype=pl.Binary))
