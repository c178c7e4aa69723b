"""Dead letters: what could not be worked, and in its headers where it came from and why.

origin-topic, origin-partition, origin-offset    where the event lies
origin-bytes                                     its whole length, also when only its beginning is kept
error-class, error-code, error                   what is wrong, from the general to the text
attempt                                          how often it was retried before
"""

from collections.abc import Mapping, Sequence
from typing import Any

from connectors import kafka
from schemas import codec, events
from schemas.base import Origin
from schemas.failures import FailureType, Poison

# Of an undecodable value so many bytes are kept: a dead letter must not itself be too large for Kafka.
KEPT = 500_000
# And so many of them are shown.
SHOWN = 200


def origin(event: Any) -> Origin:
    """Where an event of a Faust stream lies."""
    return Origin(event.message.topic, event.message.partition, event.message.offset)


def undecodable(event: Any, error: codec.Undecodable, topic: str) -> kafka.OutgoingMessage:
    """The dead letter of bytes that are no event."""
    value: bytes = event.value or b""
    headers = _headers(origin(event), size=len(value), attempt=0)
    why = {"error-class": "Undecodable", "error-code": FailureType.UNDECODABLE.value, "error": str(error)}
    return kafka.OutgoingMessage(topic=topic, key=_text(event.key), value=value[:KEPT], headers=headers | why)


def failed(
    again: Sequence[events.OrderFailed], taken: Sequence[events.OrderFailed], origins: Sequence[Origin], topic: str
) -> list[kafka.OutgoingMessage]:
    """The dead letters of those failures of a batch, taken at `origins`, that may be tried again."""
    places = {id(event): place for event, place in zip(taken, origins, strict=True)}
    letters = []
    for event in again:
        value = codec.encode(event)
        headers = _headers(places[id(event)], size=len(value), attempt=event.attempt)
        why = {"error-class": event.failure.value, "error-code": event.code, "error": event.message[:SHOWN]}
        letters.append(kafka.OutgoingMessage(topic=topic, key=event.customer, value=value, headers=headers | why))
    return letters


def poison(event: Any, error: codec.Undecodable) -> Poison:
    """What is known of a dead letter that is no failed order: its headers tell, or it came here by itself."""
    value: bytes = event.value or b""
    told = {name: _text(text) for name, text in dict(event.headers or {}).items()}
    where = _told_origin(told)
    return Poison(
        origin=where or origin(event),
        key=_text(event.key),
        size=int(told["origin-bytes"]) if where else len(value),
        begins=repr(value[:SHOWN])[2:-1],
        error=told.get("error", str(error)) if where else str(error),
    )


def _headers(place: Origin, *, size: int, attempt: int) -> dict[str, str]:
    return {
        "origin-topic": place.topic,
        "origin-partition": str(place.partition),
        "origin-offset": str(place.offset),
        "origin-bytes": str(size),
        "attempt": str(attempt),
    }


def _told_origin(told: Mapping[str, str]) -> Origin | None:
    """Where the headers say that it came from; None when they do not, or are somebody else's."""
    numbers = [told.get(f"origin-{name}", "") for name in ("partition", "offset", "bytes")]
    if "origin-topic" not in told or not all(number.isdecimal() for number in numbers):
        return None
    return Origin(told["origin-topic"], int(numbers[0]), int(numbers[1]))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
