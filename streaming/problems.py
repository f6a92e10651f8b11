"""Errors that a client can act on, as RFC 9457 problem documents."""

import json
from http import HTTPStatus

from aiohttp import web

MIME = "application/problem+json"


class Problem(Exception):
    """A refused request: an HTTP status and one clear line.

    Raise it anywhere below the middleware; `response()` is what the client receives.
    """

    def __init__(self, status: int, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s

    def response(self) -> web.Response:
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="omnisync"'
        return web.Response(
            status=self.status, text=json.dumps(body), content_type=MIME, headers=headers
        )


class BadOffer(Problem):
    """The offer is malformed (400)."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, detail)


class UnservableOffer(Problem):
    """The offer is valid SDP of a shape that this server cannot serve (422)."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


class AtCapacity(Problem):
    """Every seat is taken (503 with Retry-After)."""

    def __init__(self, seats: int, retry_after_s: int = 10) -> None:
        calls = "call" if seats == 1 else "calls"
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"server full: {seats} {calls} at a time",
            retry_after_s=retry_after_s,
        )
