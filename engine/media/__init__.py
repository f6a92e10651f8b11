"""Picture and voice files in, movies out (PyAV). Knows nothing of the model."""

from engine.media.ahead import read_ahead
from engine.media.movie import Movie
from engine.media.picture import Picture
from engine.media.source import FPS, MediaError
from engine.media.voice import Voice, VoiceTick

__all__ = ["FPS", "MediaError", "Movie", "Picture", "Voice", "VoiceTick", "read_ahead"]
