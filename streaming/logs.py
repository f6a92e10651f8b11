"""Logging: each line carries its call's id; offers and tokens are never written."""

import json
import logging
import sys
from contextvars import ContextVar

session_id: ContextVar[str] = ContextVar("session_id", default="-")

# At debug level aiortc writes whole session descriptions, and aioice credentials.
QUIET = ("aiortc", "aioice", "aiohttp.access", "libav")


class _WithSession(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.session = session_id.get()
        return True


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "session": getattr(record, "session", "-"),
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def set_up(level: str, style: str) -> None:
    """Sends the root logger to stderr, as text or as one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_WithSession())
    text = "%(asctime)s %(levelname)-7s [%(session)s] %(name)s: %(message)s"
    handler.setFormatter(_Json() if style == "json" else logging.Formatter(text))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
