"""Reading the bodies of requests: limited in size, plain JSON, one record or a list of records."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import Request

from structnet.data.spelled import Spelled
from structnet.serving.work import Refused

# For the page of the interface.
RECORD = {"type": "object", "description": 'in the task\'s own format, such as {"text": "..."}'}
BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"oneOf": [RECORD, {"type": "array", "items": RECORD}]},
            "example": [{"text": "a film with a heart"}],
        }
    },
}
EXAMPLE = [
    {"file": "request", "line": 1, "text": "a film with a heart", "class": "positive",
     "probability": 0.9}
]  # fmt: skip

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": EXAMPLE}}},
    400: {"description": "The body is no JSON"},
    413: {"description": "More bytes or nodes than are taken"},
    422: {"description": "A record is none: detail says why, record is its number"},
    429: {"description": "Too much waits: try again after the seconds of Retry-After"},
    503: {"description": "The server is stopping"},
}


class NotAccepted(Exception):
    """A body that is too large, or no JSON, with the status of the answer."""

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


async def read_body(request: Request, limit: int) -> bytes:
    """The body; NotAccepted as soon as it has more bytes than the limit."""
    parts, size = [], 0
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise _too_large(limit)
    return b"".join(parts)


def parse(body: bytes) -> list[Any]:
    """The records of a body: a list, or one of them; NotAccepted for what is no JSON."""
    try:
        found = json.loads(body.decode("utf-8"), parse_float=Spelled, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise NotAccepted(400, f"the body is not UTF-8: byte {error.start} is wrong") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise NotAccepted(400, f"the body is no JSON: {error.msg} ({place})") from error
    # Numbers of thousands of digits, NaN, and lists in lists in lists.
    except (ValueError, RecursionError) as error:
        raise NotAccepted(400, f"the body is no JSON that is taken: {error}") from error
    return found if isinstance(found, list) else [found]


def refused(error: Refused) -> dict[str, Any]:
    """What is said of a record that is refused."""
    found: dict[str, Any] = {"detail": str(error)}
    return found if error.record is None else found | {"record": error.record}


def refuse_endless(answers: Sequence[Mapping[str, Any]]) -> None:
    """Refused, with the number of its record, for a prediction that JSON can't hold: NaN or inf."""
    for number, answer in enumerate(answers, start=1):
        for name, value in _numbers("", answer):
            if not math.isfinite(value):
                raise Refused(
                    number,
                    f"the prediction's {name} is {value}, which JSON does not have: a number of "
                    "the record is larger than the net computes with",
                )


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers in an answer, by name."""
    if isinstance(value, float):
        yield name, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _numbers(f"{name}.{key}" if name else str(key), one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(name, one)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON has")


def _too_large(limit: int) -> NotAccepted:
    return NotAccepted(413, f"the body has more than {limit} bytes, which is the limit")
