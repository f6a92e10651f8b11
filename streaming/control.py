"""The data channel `control`: what a client may ask, and the words of the answers."""

import json
from dataclasses import dataclass, replace
from typing import Any

LABEL = "control"
MAX_MESSAGE = 4096  # characters
MAX_STRENGTH = 2.0
MAX_COORDINATE = 16384
MAX_NUMBER = 2**53  # JSON's integers have no end, a float's range has

FaceBox = tuple[float, float, float, float]


class BadControl(ValueError):
    """A value that cannot be used; the message is one clear line."""


@dataclass(frozen=True, slots=True)
class Controls:
    """What a caller steers live. face_box: x, y, width, height in source pixels."""

    strength: float = 1.0
    bypass: bool = False
    face_box: FaceBox | None = None


def parse_message(text: str) -> dict[str, Any]:
    """A JSON object with a `type`. Raises BadControl."""
    if len(text) > MAX_MESSAGE:
        raise BadControl(f"message is longer than {MAX_MESSAGE} characters")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadControl("message is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise BadControl("message is not an object with a type")
    return message


def change(controls: Controls, fields: dict[str, Any]) -> Controls:
    """The controls with `strength`, `bypass` and `face_box` of `fields` set. Raises BadControl."""
    if "strength" in fields:
        controls = replace(controls, strength=parse_strength(fields["strength"]))
    if "bypass" in fields:
        if not isinstance(fields["bypass"], bool):
            raise BadControl("bypass: must be true or false")
        controls = replace(controls, bypass=fields["bypass"])
    if "face_box" in fields:
        controls = replace(controls, face_box=parse_face_box(fields["face_box"]))
    return controls


def parse_strength(value: Any) -> float:
    if not _is_number(value) or not 0 <= value <= MAX_STRENGTH:
        raise BadControl(f"strength: must be a number from 0 to {MAX_STRENGTH:g}")
    return float(value)


def parse_face_box(value: Any) -> FaceBox | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        raise BadControl("face_box: must be [x, y, width, height] in pixels, or null")
    x, y, width, height = map(float, value)
    if width < 8 or height < 8 or max(map(abs, (x, y, width, height))) > MAX_COORDINATE:
        raise BadControl("face_box: out of range")
    return x, y, width, height


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_NUMBER
    )


def event(name: str, **fields: Any) -> str:
    return json.dumps({"type": "event", "event": name, **fields})


def pong(t: Any) -> str:
    return json.dumps({"type": "pong", "t": t if _is_number(t) else None})
