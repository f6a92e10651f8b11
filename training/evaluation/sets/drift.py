"""A long stream: a minute of speech again and again; its first and last turn are compared."""

from __future__ import annotations

from training.evaluation.clip import Clip, Group
from training.evaluation.sets.portraits import portrait
from training.evaluation.stock import Plan, Stock

TURN_S = 60.0


def drift(stock: Stock, plan: Plan) -> list[Clip]:
    drive = stock.drive(8000, min(TURN_S, plan.drift_minutes * 30))
    turn_minutes = len(drive.opening) / 25 / 60
    repeats = max(2, round(plan.drift_minutes / turn_minutes))
    source = portrait(stock, 881, True)
    name = f"portrait 881, {repeats * turn_minutes:.0f} minutes"
    return [Clip(name, Group.REALISTIC, source, drive, repeats=repeats)]
