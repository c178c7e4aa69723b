"""Dead letters: undecodable bytes and failures that may be retried, with their origin and reason in the headers.

origin-topic, origin-partition, origin-offset    the origin of the event
origin-bytes                                     its full length, even if the dead letter has only its beginning
error-class, error-code, error                   the reason, from the general to the text
attempt                                          the number of earlier retries
"""

from collections.abc import Mapping, Sequence
from typing import Any

from connectors import kafka
from schemas import codec, events
from schemas.base import Origin
from schemas.failures import FailureType, Poison

# Bytes that a dead letter keeps of an undecodable value: it must not be too large for Kafka itself.
KEPT = 500_000
# Characters or bytes of it that headers and ERR rows show.
SHOWN = 200


def origin(event: Any) -> Origin:
    """The origin of an event of a Faust stream."""
    return Origin(event.message.topic, event.message.partition, event.message.offset)


def undecodable(event: Any, error: codec.Undecodable, topic: str) -> kafka.OutgoingMessage:
    """The dead letter of undecodable bytes."""
    value: bytes = event.value or b""
    headers = _headers(origin(event), size=len(value), attempt=0)
    reason = {"error-class": "Undecodable", "error-code": FailureType.UNDECODABLE.value, "error": str(error)}
    return kafka.OutgoingMessage(topic=topic, key=_text(event.key), value=value[:KEPT], headers=headers | reason)


def failed(
    retryable: Sequence[events.OrderFailed], taken: Sequence[events.OrderFailed], origins: Sequence[Origin], topic: str
) -> list[kafka.OutgoingMessage]:
    """The dead letters of the `retryable` failures among those of a batch that was taken at `origins`."""
    origin_of = {id(event): place for event, place in zip(taken, origins, strict=True)}
    letters = []
    for event in retryable:
        value = codec.encode(event)
        headers = _headers(origin_of[id(event)], size=len(value), attempt=event.attempt)
        reason = {"error-class": event.failure.value, "error-code": event.code, "error": event.message[:SHOWN]}
        letters.append(kafka.OutgoingMessage(topic=topic, key=event.customer, value=value, headers=headers | reason))
    return letters


def poison(event: Any, error: codec.Undecodable) -> Poison:
    """An undecodable dead letter for its ERR row: its origin from the headers, or its own place if they have none."""
    value: bytes = event.value or b""
    headers = {name: _text(text) for name, text in dict(event.headers or {}).items()}
    first_origin = _first_origin(headers)
    return Poison(
        origin=first_origin or origin(event),
        key=_text(event.key),
        size=int(headers["origin-bytes"]) if first_origin else len(value),
        begins=repr(value[:SHOWN])[2:-1],
        error=headers.get("error", str(error)) if first_origin else str(error),
    )


def _headers(place: Origin, *, size: int, attempt: int) -> dict[str, str]:
    return {
        "origin-topic": place.topic,
        "origin-partition": str(place.partition),
        "origin-offset": str(place.offset),
        "origin-bytes": str(size),
        "attempt": str(attempt),
    }


def _first_origin(headers: Mapping[str, str]) -> Origin | None:
    """The origin in the headers; None if the headers have none or another program wrote them."""
    numbers = [headers.get(f"origin-{name}", "") for name in ("partition", "offset", "bytes")]
    if "origin-topic" not in headers or not all(number.isdecimal() for number in numbers):
        return None
    return Origin(headers["origin-topic"], int(numbers[0]), int(numbers[1]))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
