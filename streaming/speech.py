"""webrtcvad: when speech starts and ends, and silence for the model where nobody speaks.

Breath, fans and a television must not move the mouth. The sound that goes out is never touched.
"""

import numpy as np
import webrtcvad

from .sound import Pcm

RATE_HZ = 16_000
BLOCK = 320  # samples: 20 ms, one of the three lengths that webrtcvad takes
STRICTNESS = 2  # 0 lenient .. 3 strict
HANGOVER_BLOCKS = 8  # 160 ms: unvoiced endings are quiet
FADE = np.linspace(0, 1, 80, dtype=np.float32)  # 5 ms


class SpeechGate:
    """Streams 16 kHz mono in whole 20 ms blocks. `speaking` holds the last block's verdict."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._vad = webrtcvad.Vad(STRICTNESS)
        self._enabled = enabled
        self._hangover = 0
        self._open = False

    @property
    def speaking(self) -> bool:
        return self._open

    def __call__(self, samples: Pcm) -> Pcm:
        """Returns a copy with non-speech faded to zeros; the input when switched off."""
        assert len(samples) % BLOCK == 0
        gated = samples.copy()
        for start in range(0, len(samples), BLOCK):
            block = samples[start : start + BLOCK]
            gated[start : start + BLOCK] = self._gate(block)
        return gated if self._enabled else samples

    def _gate(self, block: Pcm) -> Pcm:
        if self._vad.is_speech(block.tobytes(), RATE_HZ):
            self._hangover = HANGOVER_BLOCKS
        elif self._hangover:
            self._hangover -= 1
        was_open, self._open = self._open, self._hangover > 0
        if self._open and was_open:
            return block
        if not self._open and not was_open:
            return np.zeros_like(block)
        gain = np.ones(BLOCK, np.float32) if self._open else np.zeros(BLOCK, np.float32)
        gain[: len(FADE)] = FADE if self._open else FADE[::-1]
        return (block * gain).astype(np.int16)
