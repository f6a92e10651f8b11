import asyncio

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from streaming.app import Server
from streaming.capacity import Capacity
from streaming.problems import MIME, Problem
from streaming.security import BURST, RateLimit
from streaming.settings import Settings

from .double import DoubleEngine


async def client(**settings: object) -> TestClient:
    server = Server(Settings(max_sessions=1, **settings), DoubleEngine(), Capacity(20.0, 1))
    return TestClient(TestServer(server.application()))


def test_bucket_refuses_after_the_burst_and_refills() -> None:
    now = 0.0
    limit = RateLimit(per_minute=60, now=lambda: now)
    for _ in range(BURST):
        limit.take("a")
    with pytest.raises(Problem) as caught:
        limit.take("a")
    assert caught.value.status == 429 and caught.value.retry_after_s == 2
    limit.take("b")
    now = 1.01
    limit.take("a")


async def test_token_is_demanded_where_it_matters() -> None:
    async with await client(host="0.0.0.0", token="correct horse") as http:
        for path in ("/api/config", "/metrics"):
            response = await http.get(path)
            assert response.status == 401
            assert response.content_type == MIME
            assert "Bearer" in response.headers["WWW-Authenticate"]
            wrong = {"Authorization": "Bearer correct hors"}
            assert (await http.get(path, headers=wrong)).status == 401
            right = {"Authorization": "Bearer correct horse"}
            assert (await http.get(path, headers=right)).status == 200
        assert (await http.post("/api/offer", json={})).status == 401
        assert (await http.delete("/api/sessions/x")).status == 401
        for path in ("/", "/healthz", "/readyz"):
            assert (await http.get(path)).status == 200


async def test_foreign_origin_is_refused_and_own_and_listed_are_not() -> None:
    async with await client(allowed_origins=["https://friend.example"]) as http:
        own = f"http://{http.host}:{http.port}"
        for origin, status in (
            ("https://evil.example", 403),
            ("null", 403),
            (own, 200),
            ("https://friend.example", 200),
        ):
            response = await http.get("/api/config", headers={"Origin": origin})
            assert response.status == status, origin


async def test_rebound_name_is_refused_while_there_is_no_token() -> None:
    async with await client() as http:
        headers = {"Host": "evil.example"}
        assert (await http.get("/api/config", headers=headers)).status == 403
        assert (await http.get("/", headers=headers)).status == 403
        assert (await http.get("/api/config", headers={"Host": "localhost:99"})).status == 200


async def status_of(http: TestClient, *headers: bytes) -> int:
    """What a client that writes its own headers is answered."""
    reader, writer = await asyncio.open_connection(http.host, http.port)
    lines = [b"GET /api/config HTTP/1.1", *headers, b"Connection: close", b"", b""]
    writer.write(b"\r\n".join(lines))
    status = (await reader.readline()).split()[1]
    writer.close()
    return int(status)


async def test_headers_that_are_none_are_refused_not_stumbled_over() -> None:
    async with await client() as http:
        assert await status_of(http, b"Host: [") == 403
        assert await status_of(http, b"Host: localhost", b"Origin: http://[") == 403
    async with await client(token="correct horse") as http:
        host = b"Host: localhost"
        assert await status_of(http, host, b"Authorization: Bearer \xff") == 401
        assert await status_of(http, host, b"Authorization: Bearer correct horse") == 200


async def test_every_answer_carries_the_security_headers() -> None:
    async with await client() as http:
        for path in ("/", "/api/config", "/nowhere", "/healthz"):
            headers = (await http.get(path)).headers
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "camera=(self)" in headers["Permissions-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"]


async def test_static_files_stay_inside_their_folder() -> None:
    async with await client() as http:
        base = f"http://{http.host}:{http.port}"
        async with ClientSession() as raw:
            for path in ("/../server.py", "/%2e%2e/server.py", "/..%2fserver.py"):
                from yarl import URL

                async with raw.get(URL(base + path, encoded=True)) as response:
                    assert response.status in (403, 404), path
