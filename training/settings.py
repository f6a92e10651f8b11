"""What each stage that trains can be told, with today's recipe as defaults; presets hold other
values, and every field is an option of its stage.
"""

from __future__ import annotations

from dataclasses import dataclass, field


def _told(default: float, meaning: str) -> float:
    told: float = field(default=default, metadata={"help": meaning})
    return told


CRITIC = "gradient of the critic beside the error's"


@dataclass(frozen=True, kw_only=True)
class Stage:
    minutes: float
    steps: int = field(default=0, metadata={"help": "stop after so many steps instead"})
    rate: float
    batch: int = field(default=16, metadata={"help": "crops or windows, a worker and step"})
    threads: int = field(default=1, metadata={"help": "of each worker"})
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class AutoencoderStage(Stage):
    minutes: float = 16
    rate: float = 2e-3
    threads: int = 2


@dataclass(frozen=True, kw_only=True)
class SoundStage(Stage):
    minutes: float = 6
    rate: float = 1e-3
    batch: int = 128


@dataclass(frozen=True, kw_only=True)
class SharedStage(Stage):
    """Several processes may share the work."""

    workers: int = field(default=2, metadata={"help": "processes that share the batch"})
    sharpness: float = _told(0.0, CRITIC)


@dataclass(frozen=True, kw_only=True)
class TeacherStage(SharedStage):
    minutes: float = 120
    rate: float = 8e-4
    queue_share: float = _told(0.3, "steps on the own queue")
    lip_reader: float = _told(0.0, "gradient of a jointly trained lip reader beside the error's")


@dataclass(frozen=True, kw_only=True)
class DistillStage(SharedStage):
    minutes: float = 15
    rate: float = 2e-4
    seed: int = 1
    sharpness: float = _told(0.3, CRITIC)
    queue_share: float = _told(0.5, "steps on the own queue")
    true_pose: float = _told(0.3, "share of windows told the true lip pose, not the heard one")
    unguided: float = _told(0.25, "share of windows without guidance")
    peak: float = _told(2.0, "DS-CFG weight at the mouth where the level is 1")
    floor: float = _told(0.5, "DS-CFG weight far from the mouth")


@dataclass(frozen=True, kw_only=True)
class AppearanceStage(SharedStage):
    minutes: float = 10
    rate: float = 3e-4
    seed: int = 2
    sharpness: float = _told(0.4, CRITIC)
    shards: int = field(default=60, metadata={"help": "of each kind and worker"})


@dataclass(frozen=True, kw_only=True)
class CoversStage(Stage):
    minutes: float = 4.5
    rate: float = 1e-3
    batch: int = 16
    seed: int = 3
    frames: int = field(default=8000, metadata={"help": "crops that something is painted on"})


@dataclass(frozen=True)
class Stages:
    autoencoder: AutoencoderStage = AutoencoderStage()
    sound: SoundStage = SoundStage()
    teacher: TeacherStage = TeacherStage()
    distill: DistillStage = DistillStage()
    appearance: AppearanceStage = AppearanceStage()
    covers: CoversStage = CoversStage()
