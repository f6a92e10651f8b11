"""Synthetic speech with known phoneme times: espeak-ng (any language, many voices) and flite.

Both are separate programs of the system (Debian packages espeak-ng and flite); nothing of them is
shipped. espeak-ng's library keeps one state a process: call from one thread.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from ctypes.util import find_library
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import resample_poly

from training.phonemes import STOPS, Phoneme, letters, merged, timed

SAMPLE_RATE = 16_000
CLOSURE_S = 0.055  # shortest closure of a stop, its release included
LONGEST_GAP_S = 0.13
QUIET = 0.004  # of a recording's peak


class NoSynthesiser(OSError):
    """espeak-ng or flite is not installed, or refuses the voice."""


@dataclass(frozen=True)
class Spoken:
    """A sentence: pcm int16 (S,) at 16 kHz and its phonemes in order, silences among them."""

    pcm: NDArray[np.int16]
    phonemes: list[Phoneme]
    language: str
    voice: str
    female: bool

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE

    def padded(self, before_s: float, after_s: float) -> Spoken:
        """The same with digital silence round it."""
        pad = (round(before_s * SAMPLE_RATE), round(after_s * SAMPLE_RATE))
        lead = pad[0] / SAMPLE_RATE
        moved = [replace(p, start_s=p.start_s + lead, end_s=p.end_s + lead) for p in self.phonemes]
        end = lead + self.seconds
        silences = [Phoneme("", 0, lead), *moved, Phoneme("", end, end + pad[1] / SAMPLE_RATE)]
        return replace(self, pcm=np.pad(self.pcm, pad), phonemes=merged(silences))


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
_SYNCHRONOUS, _PHONEME_EVENT, _PHONEME_IPA_EVENTS, _UTF8 = 2, 7, 1 | 2, 1
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER, speak_lib.h


class Espeak:
    """espeak-ng through its library, which tells phoneme times that the program does not."""

    def __init__(self) -> None:
        name = find_library("espeak-ng")
        if name is None:
            raise NoSynthesiser("espeak-ng is not installed")
        self._library = ctypes.CDLL(name)
        self.rate_hz: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, None, _PHONEME_IPA_EVENTS
        )
        self._samples: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._take)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, wave: Any, count: int, events: Any) -> int:
        if count > 0 and wave:
            self._samples.append(np.ctypeslib.as_array(wave, (count,)).copy())
        k = 0
        while events[k].type != 0:
            if events[k].type == _PHONEME_EVENT:
                written = bytes(events[k].id.string).split(b"\0")[0].decode("utf-8", "ignore")
                self._events.append((events[k].sample, written))
            k += 1
        return 0

    def say(
        self, text: str, voice: str, rate: int = 175, pitch: int = 50, pitch_range: int = 50
    ) -> tuple[NDArray[np.int16], list[Phoneme]]:
        """Speech at `rate_hz` and its phonemes; `voice` as in "de" or "en-us+f2".

        Raises:
            NoSynthesiser: no such voice.
        """
        self._samples, self._events = [], []
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise NoSynthesiser(f"espeak-ng has no voice {voice}")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        written = text.encode()
        self._library.espeak_Synth(written, len(written) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._samples:
            raise NoSynthesiser(f"espeak-ng says nothing with voice {voice}")
        pcm = np.concatenate(self._samples)
        phonemes = self._timed(pcm)
        return pcm, close_before_release(pcm, self.rate_hz, phonemes)

    def _timed(self, pcm: NDArray[np.int16]) -> list[Phoneme]:
        ends = [at for at, _ in self._events[1:]] + [len(pcm)]
        quiet = QUIET * float(np.abs(pcm.astype(np.int32)).max())
        phonemes: list[Phoneme] = []
        for (at, sign), end in zip(self._events, ends, strict=True):
            # "(en)" tells a change of language; "??" a vowel that espeak-ng has no letter for.
            spelled = "" if sign.startswith("(") else sign.replace("??", "ə")
            start_s, end_s = at / self.rate_hz, end / self.rate_hz
            silent = end <= at or float(pcm[at:end].astype(np.float64).std()) < quiet
            if phonemes and not letters(spelled) and not silent:
                phonemes[-1] = replace(phonemes[-1], end_s=end_s)  # a link to the next, a palatal
            else:
                phonemes += timed(spelled, start_s, end_s)
        return phonemes


def close_before_release(
    pcm: NDArray[np.int16], rate_hz: int, phonemes: list[Phoneme]
) -> list[Phoneme]:
    """Start each stop where its silence starts: espeak-ng counts a stop from its release, and
    leaves the closure to the phoneme before.
    """
    out: list[Phoneme] = []
    quiet = QUIET * float(np.abs(pcm.astype(np.int32)).max())
    step = rate_hz // 500
    for p in merged(phonemes):
        before = out[-1] if out else None
        if before is not None and p.symbol in STOPS:
            earliest = max((before.start_s + before.end_s) / 2, p.start_s - LONGEST_GAP_S)
            at = int(p.start_s * rate_hz)
            while before.symbol and at - step > earliest * rate_hz:
                if np.sqrt((pcm[at - step : at].astype(np.float64) ** 2).mean()) > quiet:
                    break
                at -= step
            start = max(earliest, min(at / rate_hz, p.end_s - CLOSURE_S))
            start = min(start, p.start_s)
            out[-1] = replace(before, end_s=start)
            p = replace(p, start_s=start)
        out.append(p)
    return merged(out)


@lru_cache(1)
def espeak() -> Espeak:
    return Espeak()


def say_espeak(
    text: str,
    language: str,
    variant: str = "",
    female: bool = False,
    rate: int = 175,
    pitch: int = 50,
    pitch_range: int = 50,
) -> Spoken:
    """`text` in `language` ("en-us", "hi") with a voice variant ("f2"); see Espeak.say."""
    voice = f"{language}+{variant}" if variant else language
    engine = espeak()
    pcm, phonemes = engine.say(text, voice, rate, pitch, pitch_range)
    common = np.gcd(SAMPLE_RATE, engine.rate_hz)
    sound = resample_poly(
        pcm.astype(np.float64), SAMPLE_RATE // common, engine.rate_hz // common
    ).clip(-32768, 32767)
    return Spoken(sound.astype(np.int16), phonemes, language, voice, female)


def say_flite(text: str, voice: str, female: bool, stretch: float = 1.0) -> Spoken:
    """English `text` by a flite voice ("slt", "awb", "rms", "kal16"); `stretch` slows it down.

    Raises:
        NoSynthesiser: flite is not installed or failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "out.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}"]
        command += ["-psdur", "-t", text, "-o", str(wav)]
        try:
            told = subprocess.run(command, capture_output=True, text=True, check=True)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            raise NoSynthesiser("flite is not installed or failed") from error
        rate_hz, pcm = wavfile.read(wav)
    if rate_hz != SAMPLE_RATE:
        common = np.gcd(SAMPLE_RATE, rate_hz)
        pcm = resample_poly(pcm.astype(np.float64), SAMPLE_RATE // common, rate_hz // common)
    phonemes, start = [], 0.0
    for item in told.stdout.split():
        name, _, end = item.partition(":")
        phonemes += timed(name, start, float(end), arpabet=True)
        start = float(end)
    sound = pcm.clip(-32768, 32767).astype(np.int16)
    return Spoken(sound, close_before_release(sound, SAMPLE_RATE, phonemes), "en-us", voice, female)
