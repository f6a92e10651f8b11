import json

import pytest

from streaming.control import BadControl, Controls, change, event, parse_message, pong


def test_fields_are_set_one_by_one() -> None:
    controls = change(Controls(), {"strength": 1.2})
    assert controls == Controls(strength=1.2)
    controls = change(controls, {"bypass": True, "face_box": [1, 2, 30, 40]})
    assert controls == Controls(1.2, True, (1.0, 2.0, 30.0, 40.0))
    assert change(controls, {"face_box": None}).face_box is None
    assert change(controls, {"type": "set"}) == controls


@pytest.mark.parametrize(
    "fields",
    [
        {"strength": "1"},
        {"strength": True},
        {"strength": 2.1},
        {"strength": -0.1},
        {"strength": float("nan")},
        {"strength": 10**400},
        {"bypass": 1},
        {"face_box": [1, 2, 3]},
        {"face_box": "all"},
        {"face_box": [0, 0, 1, 1]},
        {"face_box": [0, 0, float("inf"), 40]},
        {"face_box": [1e9, 0, 40, 40]},
        {"face_box": [0, 0, 10**400, 40]},
    ],
)
def test_unusable_values_are_named(fields: dict[str, object]) -> None:
    (name,) = fields
    with pytest.raises(BadControl, match=name):
        change(Controls(), fields)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"set"', '{"type": 1}', "x" * 5000, "[" * 4000, '{"a": 1}']
)
def test_unreadable_messages_are_refused(text: str) -> None:
    with pytest.raises(BadControl):
        parse_message(text)


def test_answers() -> None:
    assert json.loads(pong(12.5)) == {"type": "pong", "t": 12.5}
    assert json.loads(pong({"deep": []}))["t"] is None
    assert json.loads(pong(10**400))["t"] is None
    assert json.loads(event("closing", reason="stalled")) == {
        "type": "event",
        "event": "closing",
        "reason": "stalled",
    }
