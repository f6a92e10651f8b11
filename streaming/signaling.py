"""Offer and answer over HTTP: who gets a seat, and the calls that hold one."""

import asyncio
import json
import logging
import secrets
from typing import Any

from aiohttp import web
from aiortc.sdp import candidate_from_sdp

from engine.personal import Person

from .control import BadControl, Controls, change
from .persons import Persons
from .pipeline import Shared
from .problems import AtCapacity, BadOffer, Problem
from .sdp import MAX_CANDIDATES, check_offer, is_mdns
from .security import RateLimit
from .session import Session
from .settings import Codec

logger = logging.getLogger(__name__)

JSON_OVERHEAD = 4096  # bytes beside the session description
CODECS: tuple[Codec, ...] = ("vp8", "h264")


class Calls:
    """The calls of one server, and the routes that make and end them."""

    def __init__(self, shared: Shared, seats: int) -> None:
        self._shared = shared
        self.seats = seats
        self._sessions: dict[str, Session] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._candidates: dict[str, int] = {}
        self.persons = Persons(shared.settings.persons)
        self._limit = RateLimit(shared.settings.offers_per_minute)
        self.draining = False

    @property
    def active(self) -> int:
        return len(self._sessions)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/offer", self.offer),
            web.patch("/api/offer", self.trickle),
            web.delete("/api/sessions/{pc_id}", self.delete),
        ]

    async def offer(self, request: web.Request) -> web.Response:
        """POST {sdp, type, strength?, face_box?, codec?, person?} -> {sdp, type, pc_id}."""
        try:
            return await self._offer(request)
        except Problem as problem:
            self._shared.metrics.offers_refused.labels(str(problem.status)).inc()
            raise

    async def _offer(self, request: web.Request) -> web.Response:
        self._limit.take(request.remote or "")
        body = await self._json(request)
        if body.get("type") != "offer" or not isinstance(body.get("sdp"), str):
            raise BadOffer('needs sdp and type "offer"')
        check_offer(body["sdp"], self._shared.settings.max_sdp_bytes)
        controls, codec = _wishes(body)
        self._check_seats()  # before a person's files are read, and after: others call meanwhile
        person = None
        if body.get("person") is not None:
            person = await asyncio.to_thread(self._person, body["person"])
            self._check_seats()
        session = Session(secrets.token_urlsafe(16), self._shared, controls, codec, person)
        self._sessions[session.pc_id] = session
        try:
            answer = await session.accept(body["sdp"])
        except BaseException:
            self._forget(session.pc_id)
            await session.discard()
            raise
        task = asyncio.create_task(self._live(session), name=f"call {session.pc_id[:8]}")
        self._tasks[session.pc_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(session.pc_id, None))
        return web.json_response({"sdp": answer, "type": "answer", "pc_id": session.pc_id})

    def _check_seats(self) -> None:
        if self.draining:
            raise Problem(503, "server is stopping", retry_after_s=10)
        if self.active >= self.seats:
            raise AtCapacity(self.seats)

    def _person(self, name: Any) -> Person:
        """The person that an offer asks for, if the engine can run it. Raises Problem."""
        person = self.persons.find(name)
        if not self._shared.engine.fits(person):
            raise Problem(409, f"person '{name}' was made for other weights: personalize again")
        return person

    async def trickle(self, request: web.Request) -> web.Response:
        """PATCH {pc_id, candidates: [{candidate, sdpMid, sdpMLineIndex} | null]} -> 204."""
        body = await self._json(request)
        session = self._find(body.get("pc_id"))
        candidates = body.get("candidates")
        if not isinstance(candidates, list):
            raise BadOffer("candidates must be a list")
        total = self._candidates.get(session.pc_id, 0) + len(candidates)
        if total > MAX_CANDIDATES:
            raise BadOffer(f"more than {MAX_CANDIDATES} candidates")
        self._candidates[session.pc_id] = total
        for entry in candidates:
            await _add_candidate(session, entry)
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE -> 204 once the call's seat is free: who calls again at once must find it so."""
        session = self._find(request.match_info["pc_id"])
        session.end("ended by client")
        if task := self._tasks.get(session.pc_id):
            await asyncio.wait([task], timeout=self._shared.settings.drain_timeout_s + 1)
        return web.Response(status=204)

    async def close(self) -> None:
        """Ends every call; returns when they are gone, at most drain_timeout_s + 2 s later."""
        self.draining = True
        for session in list(self._sessions.values()):
            session.end("server is stopping")
        if self._tasks:
            limit_s = self._shared.settings.drain_timeout_s + 1
            _, late = await asyncio.wait(self._tasks.values(), timeout=limit_s)
            for task in late:
                task.cancel()

    async def _live(self, session: Session) -> None:
        self._shared.metrics.sessions_active.set(self.active)
        reason = "cancelled"
        try:
            reason = await session.run()
        finally:
            self._forget(session.pc_id)
            self._shared.metrics.sessions.labels(reason).inc()

    def _forget(self, pc_id: str) -> None:
        self._sessions.pop(pc_id, None)
        self._candidates.pop(pc_id, None)
        self._shared.metrics.sessions_active.set(self.active)

    def _find(self, pc_id: Any) -> Session:
        session = self._sessions.get(pc_id) if isinstance(pc_id, str) else None
        if session is None:
            raise Problem(404, "no such call")
        return session

    async def _json(self, request: web.Request) -> dict[str, Any]:
        if request.content_type != "application/json":
            raise Problem(415, "send application/json")
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError) as error:
            raise BadOffer("body is not JSON") from error
        if not isinstance(body, dict):
            raise BadOffer("body is not a JSON object")
        return body


def _wishes(body: dict[str, Any]) -> tuple[Controls, Codec]:
    try:
        controls = change(Controls(), {k: v for k, v in body.items() if v is not None})
    except BadControl as error:
        raise BadOffer(str(error)) from error
    codec = body.get("codec") or "vp8"
    if codec not in CODECS:
        raise BadOffer(f"codec: must be one of {', '.join(CODECS)}")
    return controls, codec


async def _add_candidate(session: Session, entry: Any) -> None:
    if entry is None or (isinstance(entry, dict) and entry.get("candidate") == ""):
        await session.add_candidate(None)
        return
    if not isinstance(entry, dict) or not isinstance(entry.get("candidate"), str):
        raise BadOffer("a candidate is {candidate, sdpMid, sdpMLineIndex}")
    line = entry["candidate"].removeprefix("candidate:")
    if is_mdns(line):
        return
    try:
        candidate = candidate_from_sdp(line)
        candidate.sdpMid, candidate.sdpMLineIndex = entry.get("sdpMid"), entry.get("sdpMLineIndex")
        await session.add_candidate(candidate)
    except (ValueError, AssertionError, LookupError) as error:
        raise BadOffer("candidate cannot be parsed") from error
