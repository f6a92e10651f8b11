"""Who may call, from where, how often; and the headers that every answer carries."""

import hmac
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .problems import Problem
from .settings import Settings, is_loopback

OPEN_PATHS = ("/healthz", "/readyz")
GUARDED = ("/api/", "/metrics")
BURST = 10  # offers at once from one address
REMEMBERED_ADDRESSES = 4096

# The page draws pictures into canvases and plays streams; everything comes from this server.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob: mediastream:",
        "style-src 'self' 'unsafe-inline'",
        "worker-src 'self' blob:",
        "connect-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Permissions-Policy": (
        "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), "
        "fullscreen=(self), geolocation=(), payment=(), usb=()"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class RateLimit:
    """A token bucket for each address: BURST at once, then `per_minute`."""

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, address: str) -> None:
        """Takes one token. Raises Problem 429 with the seconds to wait."""
        now = self._now()
        tokens, then = self._buckets.pop(address, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - then) * self._rate)
        allowed = tokens >= 1
        self._buckets[address] = (tokens - allowed, now)
        while len(self._buckets) > REMEMBERED_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        if not allowed:
            wait_s = int((1 - tokens) / self._rate) + 1
            raise Problem(429, "too many offers from this address", retry_after_s=wait_s)


class Guard:
    """Token, origin and host checks of one server."""

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token.get_secret_value() if settings.token else None
        self._origins = {origin.rstrip("/").lower() for origin in settings.allowed_origins}
        self._private = is_loopback(settings.host) and self._token is None

    def check(self, request: web.Request) -> None:
        """Raises Problem 401 or 403."""
        if request.path in OPEN_PATHS:
            return
        self._check_host(request)
        if not request.path.startswith(GUARDED):
            return
        self._check_origin(request)
        self._check_token(request)

    def _check_host(self, request: web.Request) -> None:
        """Without a token a page of another name could be rebound to this address by its DNS."""
        name = _split(f"//{request.host}").hostname or ""
        if self._private and not is_loopback(name):
            raise Problem(HTTPStatus.FORBIDDEN, "this server answers to localhost only")

    def _check_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is None or _split(origin).netloc.lower() == request.host.lower():
            return
        if origin.rstrip("/").lower() not in self._origins:
            raise Problem(HTTPStatus.FORBIDDEN, "requests from this web origin are not allowed")

    def _check_token(self, request: web.Request) -> None:
        if self._token is None:
            return
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode(errors="surrogateescape"), self._token.encode()
        ):
            raise Problem(HTTPStatus.UNAUTHORIZED, "a bearer token is needed")


def _split(address: str) -> SplitResult:
    """Raises Problem 403."""
    try:
        return urlsplit(address)
    except ValueError as error:
        raise Problem(HTTPStatus.FORBIDDEN, "Host or Origin is no address") from error


def middleware(guard: Guard) -> Middleware:
    """Checks each request, turns Problems and aiohttp's own errors into problem documents."""

    @web.middleware
    async def secure(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            guard.check(request)
            response = await handler(request)
        except Problem as problem:
            response = problem.response()
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = Problem(error.status, error.reason).response()
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        response.headers.update(HEADERS)
        return response

    return secure
