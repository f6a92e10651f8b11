"""From measures to figures, report and success: on clips whose answer is known."""

import json
from concurrent.futures import Future
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("numba")

from training import evaluate
from training.drives import Drive
from training.evaluation.clip import Clip, Group, Picture, Segment, Source
from training.evaluation.expert import Expert, NoExpert
from training.evaluation.figures import Judgement, silent_leak
from training.evaluation.measure.measured import Measured
from training.evaluation.measure.shots import Shots
from training.evaluation.regressor import Regressor
from training.evaluation.report import Verdict, success_by_group, write_json, write_markdown
from training.evaluation.targets import failures

FRAMES = 300


class _Deaf(Regressor):
    def __init__(self) -> None:
        pass

    def __call__(self, pcm, frames):
        return np.zeros(frames)


DEAF = _Deaf()


def judgement(seed: int, blur: float = 1.0, late: int = 0, **changed) -> Judgement:
    """A mouth that follows its sound, changed as said."""
    rng = np.random.default_rng(seed)
    truth = np.convolve(rng.normal(0, 0.05, FRAMES + 6), np.ones(7) / 7, "valid")
    noise = np.convolve(rng.normal(0, 0.03, FRAMES + 6), np.ones(7) / 7, "valid")
    picture = Picture(np.zeros((1, 8, 8, 3), np.uint8))
    source = Source("key", picture, Future())
    drive = Drive(f"drive {seed}", np.zeros(640 * FRAMES, np.int16), truth)
    values = {f.name: 0.0 for f in fields(Measured)} | {
        "output": np.roll(truth + noise, late),
        "truth": truth,
        "source": np.zeros(FRAMES),
        "flap": rng.random(FRAMES),
        "heard": truth + 0.5 * noise,
        "lips": np.full((FRAMES, 8), np.nan),
        "halves": np.ones((2, 3)),
        "stir": np.zeros(0),
        "sharpness": blur,
        "seam": 1.0,
        "skin": 2.0,
        "skin_round_trip": 4.0,
        "texture": 0.1,
        "texture_round_trip": 0.4,
        "lip_distance": float("nan"),
        "cover_psnr": float("nan"),
        "flicker_mouth": 1.0,
        "flicker_skin": 1.0,
        "shots": Shots(
            np.arange(12),
            *(np.zeros((12, 144, 144, 3), np.uint8) for _ in range(2)),
            *(np.zeros((3, 16, 16, 3), np.uint8) for _ in range(2)),
        ),
    }
    clip = Clip(f"clip {seed}", Group.REALISTIC, source, drive)
    return Judgement(clip, Measured(**(values | changed)))


def test_a_good_clip_is_a_success_and_each_fault_is_named() -> None:
    assert failures(judgement(0)) == []
    assert failures(judgement(0, late=4)) == ["not in sync"]
    assert failures(judgement(0, blur=0.4)) == ["sharpness"]
    assert failures(judgement(0, seam=1.4)) == ["seam"]
    assert failures(judgement(0, lost=0.05)) == ["face lost"]
    assert failures(judgement(0, skin=5.0)) == ["skin"]
    assert failures(judgement(0, outside=1.0)) == ["pixels outside the mask"]


def test_figures_stand_beside_baselines_that_do_not_listen() -> None:
    verdict = Verdict.of("portraits", [judgement(k) for k in range(4)], NoExpert(), DEAF)
    f = verdict.figures
    assert f["r"] > 0.8 > 0.3 > abs(f["template_r"])
    assert abs(f["shuffled_r"]) < 0.3 and abs(f["loudness_flap_r"]) < 0.3
    assert f["ceiling_r"] > f["r"]
    assert f["r_low"] < f["r"] < f["r_high"]
    assert f["skin"] == pytest.approx(0.5)
    assert verdict.success == 1.0
    assert verdict.passed
    late = Verdict.of("portraits", [judgement(k, late=4) for k in range(4)], NoExpert(), DEAF)
    assert late.figures["offset"] == 4
    assert not late.passed
    assert late.success == 0.0


def test_silence_is_judged_against_speech_on_the_same_picture() -> None:
    segments = (Segment("speech", 0, 200), Segment("room", 210, 250), Segment("music", 260, 300))
    quiet = judgement(0)
    output = quiet.measured.output.copy()
    speech = output[:200].std()
    for first, last, share in ((210, 250, 0.05), (260, 300, 0.2)):
        wave = np.sin(np.arange(last - first))
        output[first:last] = wave / wave.std() * share * speech
    made = judgement(0, output=output, stir=np.array([4.0, 1.0, 2.0]))
    clip = Clip("clip", Group.REALISTIC, made.clip.source, made.clip.drive, segments=segments)
    found = Verdict.of("silence", [Judgement(clip, made.measured)], NoExpert(), DEAF)
    assert found.figures["still room"] == pytest.approx(0.05)
    assert found.figures["still"] == found.figures["still music"] == pytest.approx(0.2)
    assert found.figures["stir room"] == pytest.approx(0.25)
    assert np.isnan(found.figures["leak in silence"])  # the source is still
    assert not found.passed


def test_a_talking_source_that_shows_through_silence_is_told() -> None:
    wave = 0.1 + 0.1 * np.sin(np.arange(FRAMES) / 3)
    lips = np.ones((FRAMES, 8))
    lips[:, 0] = 0.5 * (np.arange(FRAMES) % 4 == 0)  # wide open in every fourth frame
    made = judgement(0, output=0.3 * wave, source=wave, lips=lips)
    labels: Future[Path] = Future()
    source = Source("key", made.clip.source.picture, labels)
    source.__dict__["points"] = np.random.default_rng(0).random((1, 478, 2)).astype(np.float32)
    segments = (Segment("speech", 0, 100), Segment("room", 100, 300))
    clip = Clip("clip", Group.REALISTIC, source, made.clip.drive, segments=segments)
    found = silent_leak([Judgement(clip, made.measured)])
    assert found["leak in silence"] == pytest.approx(0.3)
    assert found["LipLeak"] == pytest.approx(0.25)


def test_the_report_is_whole_and_plain(tmp_path: Path) -> None:
    verdicts = [
        Verdict.of("portraits", [judgement(k) for k in range(3)], NoExpert(), DEAF),
        Verdict.of("strangers", [judgement(k, late=5) for k in range(4)], NoExpert(), DEAF),
    ]
    write_json(tmp_path / "report.json", {"slots": 3}, verdicts)
    write_markdown(tmp_path / "report.md", {"slots": 3}, verdicts)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["conditions"] == {"slots": 3}
    assert report["sets"]["portraits"]["passed"]
    assert report["sets"]["portraits"]["figures"]["lip_distance"] is None
    assert report["sets"]["strangers"]["clips"][0]["failures"] == ["not in sync"]
    assert report["success"]["realistic"] == {"successes": 3, "clips": 7}
    assert success_by_group(verdicts) == {Group.REALISTIC: (3, 7)}
    text = (tmp_path / "report.md").read_text()
    assert "nan" not in text
    assert "✗ offset 0 to 1 (5.00)" in text
    assert {p.name for p in tmp_path.iterdir()} == {"report.json", "report.md"}


def test_clips_of_a_condition_are_pooled(tmp_path: Path) -> None:
    named = [
        Judgement(replace(j.clip, name=name), j.measured)
        for j, name in ((judgement(0), "dark 1"), (judgement(1, late=5), "dark 2"))
    ]
    write_markdown(tmp_path / "report.md", {}, [Verdict.of("conditions", named, NoExpert(), DEAF)])
    (line,) = [
        r for r in (tmp_path / "report.md").read_text().splitlines() if r.startswith("| dark |")
    ]
    _, _, r, each, *_ = (cell.strip() for cell in line.split("|"))
    good, bad = (float(v) for v in each.split(", "))
    assert bad < float(r) < good


def test_measures_survive_their_file(tmp_path: Path) -> None:
    _, measured = judgement(3, sharpness=0.8)
    measured.save(tmp_path / "clip.npz")
    again = Measured.load(tmp_path / "clip.npz")
    assert again.sharpness == 0.8
    np.testing.assert_array_equal(again.output, measured.output)
    assert again.shots.source.shape == (12, 144, 144, 3)


def test_an_unknown_set_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        evaluate.main(["--sets", "speaker,nobody"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("omnisync evaluate: ") and "nobody" in told
    assert told.count("\n") == 1


@pytest.mark.data
def test_without_a_labelling_python_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "report"
    missing = str(tmp_path / "python")
    args = ["--sets", "speaker", "--output", str(output), "--labels-python", missing]
    assert evaluate.main([*args, "--cache", str(tmp_path / "cache")]) == 2
    assert "make labels" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.data
def test_the_expert_prefers_the_right_sound_and_finds_a_delay() -> None:
    from engine.audio import SAMPLES_PER_FRAME
    from training.grid import read_pcm
    from training.splits import data_dir, judged_names

    names = judged_names("grid_s1")[:20]
    faces, sounds = {}, {}
    for name in names:
        # Lips that follow the loudness of the sentence, on a face drawn of few points.
        pcm = read_pcm(data_dir() / "grid_s1" / f"{name}.flac")
        count = len(pcm) // SAMPLES_PER_FRAME
        loud = pcm[: count * SAMPLES_PER_FRAME].reshape(count, -1).astype(float).std(1)
        loud = np.convolve(loud / loud.max(), np.ones(3) / 3, "same")
        rng = np.random.default_rng(0)
        points = np.tile(rng.uniform(100, 200, (478, 2)), (count, 1, 1)).astype(np.float32)
        for lower in (14, 178, 402, 17):
            points[:, lower, 1] += 8 * loud
        faces[name], sounds[name] = points, pcm
    expert = Expert({n: faces[n] for n in names[:10]})
    from training.evaluation.measure.faces import lip_features

    others = names[10:]
    features = np.concatenate([lip_features(faces[n]) for n in others])
    sound = np.concatenate([sounds[n][: 640 * len(faces[n])] for n in others])
    right = expert.agreement(features, sound)
    pieces = np.array_split(features, len(features) // 10)
    mixed = np.concatenate([pieces[k] for k in np.random.default_rng(1).permutation(len(pieces))])
    wrong = expert.agreement(mixed, sound)
    late = expert.agreement(np.roll(features, 3, 0), sound)
    assert right.offset == 0
    assert late.offset == 3
    assert right.confidence > 2 * wrong.confidence
