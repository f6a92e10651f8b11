"""Make the demo's face and voice: `python -m training.demo_face` writes web_client/demo.

The head is one of those that no network is trained on. It idles with its mouth closed, looks
around a little and ends where it began, so that the clip loops.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from training.heads.assets import F32, base_mesh
from training.heads.head import Framing, Head
from training.heads.light import Camera, Light
from training.heads.raster import paint_uv

SEED = 1_000_070
HAIR = "long01"
FPS = 25
FRAMES = 9 * FPS
WIDTH, HEIGHT = 640, 480
FRAMING = Framing(eyes_x=0.5, eyes_y=0.44, eye_distance=0.118)
TURN = np.radians([9.0, 3.5, 2.0])  # how far it looks around: yaw, pitch, roll
BLINKS_S = (1.1, 4.3, 5.0, 8.2)
BLINK = (0.3, 0.85, 1.0, 0.8, 0.45, 0.15)
GAZE_PER_RADIAN = 1.4  # keeps the eyes near the camera while the head turns
REST = {
    **{"mouthSmileLeft": 0.2, "mouthSmileRight": 0.2, "browInnerUp": 0.4},
    **{"browOuterUpLeft": 0.15, "browOuterUpRight": 0.15},
    **{"eyeSquintLeft": 0.1, "eyeSquintRight": 0.1},
}

COLLAR_DM = -1.32  # height of the collar beside the neck, from the eyes
COLLAR_HALF_DM = 0.66
COLLAR_DIP_DM = 0.5

WORDS = (
    "Hello! I am a rendered face, and this voice is not mine. "
    "Omni sync listens to a voice, and moves my lips to match it, live. "
    "It runs on an ordinary computer, and nothing leaves your machine. "
    "Now try it with your own camera, a photo, or a voice you like."
)
VOICE_HZ = 48_000


def linear(red: float, green: float, blue: float) -> F32:
    """A colour in linear light."""
    return np.array([red, green, blue], np.float32)


def toward(azimuth: float, height: float) -> F32:
    """Unit direction to a light, angles in radians from the camera."""
    across = np.cos(height)
    return linear(np.sin(azimuth) * across, np.sin(height), np.cos(azimuth) * across)


SHIRT = linear(0.020, 0.055, 0.085)
BACKDROP = linear(0.17, 0.23, 0.30)
NO_LIGHT = linear(0, 0, 0)
STUDIO = Light(
    key=toward(-0.6, 0.5),
    key_colour=linear(0.86, 0.82, 0.77),
    fill=toward(1.0, 0.15),
    fill_colour=linear(0.24, 0.26, 0.29),
    sky=linear(0.42, 0.43, 0.45),
    ground=linear(0.30, 0.28, 0.26),
    gloss=0.5,
)
DARKNESS = Light(
    STUDIO.key, NO_LIGHT, STUDIO.fill, NO_LIGHT, sky=NO_LIGHT, ground=NO_LIGHT, gloss=0.0
)
CAMERA = Camera(
    exposure=1.0,
    gamma=2.2,
    white=np.ones(3, np.float32),
    saturation=1.0,
    blur_px=0.0,
    sharpen=0.25,
    noise=0.0,
    quality=0,
)


def dressed(head: Head) -> Head:
    """The head with a plain shirt painted on its shoulders."""
    mesh, skin = base_mesh(), head.parts[0]
    body = mesh.groups == "body"
    size = 2 * len(skin.texture)
    across, height = np.zeros((2, size, size), np.float32)
    for axis, painted in enumerate((across, height)):
        place = np.zeros(len(mesh.vertices), np.float32)
        place[head.body_vertices] = head.vertices[: len(head.body_vertices), axis]
        paint_uv(mesh.uv, mesh.faces[body], mesh.faces_uv[body], place, painted)
    dip = COLLAR_DIP_DM * np.clip(1 - (across / COLLAR_HALF_DM) ** 2, 0, 1)
    cloth = np.clip((COLLAR_DM - dip - height) / 0.01 + 0.5, 0, 1)[..., None]
    texture = cv2.resize(skin.texture, (size, size), interpolation=cv2.INTER_CUBIC)
    weave = np.random.default_rng(SEED).normal(1, 0.05, (size, size, 1)).astype(np.float32)
    texture[..., :3] = texture[..., :3] * (1 - cloth) + SHIRT * weave * cloth
    return replace(head, parts=(replace(skin, texture=texture), *head.parts[1:]))


def backdrop() -> F32:
    """A studio wall in linear light (WIDTH, WIDTH, 3), brighter behind the head."""
    y, x = np.mgrid[0:WIDTH, 0:WIDTH].astype(np.float32) / WIDTH
    glow = np.exp(-(((x - 0.45) / 0.5) ** 2 + ((y - 0.42) / 0.45) ** 2))
    dither = np.random.default_rng(SEED).normal(1, 0.012, (WIDTH, WIDTH, 1))
    return (BACKDROP * (0.45 + 0.9 * glow[..., None]) * dither).astype(np.float32)


def idle(order: int) -> tuple[dict[str, float], F32]:
    """Coefficients and (yaw, pitch, roll) of frame `order`; frame FRAMES would be frame 0."""
    phase = 2 * np.pi * order / FRAMES
    yaw = 0.7 * np.sin(phase) + 0.3 * np.sin(3 * phase + 1.0)
    pitch = 0.6 * np.sin(2 * phase + 0.5) + 0.4 * np.sin(3 * phase)
    roll = np.sin(phase + 2.0)
    turn = (TURN * (yaw, pitch, roll)).astype(np.float32)
    face = dict(REST)
    aside, up = -GAZE_PER_RADIAN * turn[0], GAZE_PER_RADIAN * turn[1]
    face["eyeLookInLeft"] = face["eyeLookOutRight"] = max(-aside, 0.0)
    face["eyeLookOutLeft"] = face["eyeLookInRight"] = max(aside, 0.0)
    face["eyeLookUpLeft"] = face["eyeLookUpRight"] = max(up, 0.0)
    face["eyeLookDownLeft"] = face["eyeLookDownRight"] = max(-up, 0.0)
    for start_s in BLINKS_S:
        step = order - round(start_s * FPS)
        if 0 <= step < len(BLINK):
            face["eyeBlinkLeft"] = face["eyeBlinkRight"] = BLINK[step]
    smile = 0.06 * np.sin(2 * phase)
    face["mouthSmileLeft"] += smile
    face["mouthSmileRight"] += smile
    return face, turn


def to_linear(rgb: np.ndarray) -> F32:
    """Undo CAMERA: uint8 RGB -> linear light."""
    x = ((rgb / 255.0) ** CAMERA.gamma / 1.2).astype(np.float32)
    return x / (1 - 0.25 * x)


class Studio:
    """Films a head before the backdrop.

    The renderer draws a backdrop of its own; a second picture of the unlit head says how much of
    it shows through at each pixel.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self._wall = backdrop()
        self._bare = self._shoot({}, NO_LIGHT, STUDIO, replace(FRAMING, eyes_x=9))

    def _shoot(
        self, face: dict[str, float], turn: F32, light: Light, framing: Framing = FRAMING
    ) -> F32:
        """Linear light (WIDTH, WIDTH, 3)."""
        yaw, pitch, roll = turn.tolist()
        picture = self._head.render(
            face, yaw, pitch, roll, WIDTH, framing=framing, light=light, camera=CAMERA
        )
        return to_linear(picture.rgb)

    def frame(self, order: int) -> np.ndarray:
        """uint8 RGB (HEIGHT, WIDTH, 3)."""
        face, turn = idle(order)
        lit = self._shoot(face, turn, STUDIO)
        shown = self._shoot(face, turn, DARKNESS) / np.maximum(self._bare, 1e-3)
        through = np.clip(shown.mean(-1, keepdims=True), 0, 1)
        scene = lit + through * (self._wall - self._bare)
        top = (WIDTH - HEIGHT) // 2
        return CAMERA.film(scene, np.random.default_rng(0))[top : top + HEIGHT]


def write_clip(path: Path, studio: Studio) -> None:
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        options = {"crf": "19", "preset": "slow", "profile": "main", "tune": "animation"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = stream.codec_context
        context.gop_size = 2 * FPS
        context.color_range, context.colorspace = 1, 1
        context.color_primaries = context.color_trc = 1
        for order in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(studio.frame(order), "rgb24").reformat(
                format="yuv420p", dst_colorspace="itu709", dst_color_range="MPEG"
            )
            frame.pts, frame.time_base = order, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            if order % FPS == 0:
                print(f"face: {order // FPS} of {FRAMES // FPS} s", flush=True)
        container.mux(stream.encode())


def write_voice(path: Path) -> None:
    """WORDS spoken by flite (Debian: flite), as MP3. Raises FileNotFoundError without it."""
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        subprocess.run(["flite", "-voice", "slt", "-t", WORDS, "-o", str(spoken)], check=True)
        with av.open(str(spoken)) as source:
            resampler = av.AudioResampler("s16p", "mono", VOICE_HZ)
            pieces = [p for f in source.decode(audio=0) for p in resampler.resample(f)]
            pieces += resampler.resample(None)
    sound = np.concatenate([piece.to_ndarray()[0] for piece in pieces]).astype(np.float32)
    pause = np.zeros(VOICE_HZ * 2 // 5, np.float32)
    sound = np.concatenate([pause, sound * (0.7 * 32767 / np.abs(sound).max()), pause])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=VOICE_HZ, layout="mono")
        stream.bit_rate = 96_000
        frame = av.AudioFrame.from_ndarray(sound.astype(np.int16)[None], "s16p", "mono")
        frame.sample_rate = VOICE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("web_client/demo"))
    parser.add_argument("--seed", type=int, default=SEED, help="which head")
    parser.add_argument("--hair", default=HAIR)
    parser.add_argument("--still", type=Path, help="write one frame here (PNG) and stop")
    args = parser.parse_args()
    studio = Studio(dressed(Head.sample(args.seed, args.hair)))
    if args.still:
        cv2.imwrite(str(args.still), studio.frame(40)[:, :, ::-1])
        return 0
    args.output.mkdir(parents=True, exist_ok=True)
    write_voice(args.output / "voice.mp3")
    write_clip(args.output / "face.mp4", studio)
    return 0


if __name__ == "__main__":
    sys.exit(main())
