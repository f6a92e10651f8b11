"""The HTTP contract, without media."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer

from streaming.app import Server
from streaming.capacity import Capacity
from streaming.problems import MIME
from streaming.settings import Settings

from .caller import Caller
from .double import DoubleEngine


@pytest.fixture
async def server() -> Server:
    return Server(
        Settings(max_sessions=1, offers_per_minute=6000), DoubleEngine(), Capacity(20.0, 1)
    )


@pytest.fixture
async def http(server: Server) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(server.application())) as client:
        yield client


async def test_probes_and_config(http: TestClient) -> None:
    assert (await http.get("/healthz")).status == 200
    assert (await http.get("/readyz")).status == 200
    config = await (await http.get("/api/config")).json()
    assert config["ice_servers"] == []
    assert config["limits"]["max_sessions"] == 1
    assert config["model_facts"]["look_ahead_ms"] == 80


async def test_page_and_its_parts_are_served(http: TestClient) -> None:
    page = await http.get("/")
    assert page.status == 200 and page.content_type == "text/html"
    again = await http.get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status == 304


async def test_not_ready_says_why(http: TestClient, server: Server) -> None:
    server.calls.draining = True
    response = await http.get("/readyz")
    assert response.status == 503
    assert "stopping" in (await response.json(content_type=None))["detail"]
    caller = Caller("", http.session)
    offer = await http.post("/api/offer", json={"sdp": await caller.offer(), "type": "offer"})
    await caller.pc.close()
    assert offer.status == 503 and offer.headers["Retry-After"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sdp": "v=0"},
        {"sdp": 5, "type": "offer"},
        {"sdp": "", "type": "offer"},
        {"sdp": "v=0\r\n", "type": "answer"},
        [],
        "x",
    ],
)
async def test_malformed_offer_is_400(http: TestClient, body: object) -> None:
    response = await http.post("/api/offer", json=body)
    assert response.status == 400
    assert response.content_type == MIME
    problem = await response.json(content_type=None)
    assert problem["status"] == 400 and problem["detail"]


async def test_body_must_be_json_and_small(http: TestClient) -> None:
    assert (await http.post("/api/offer", data=FormData({"a": "b"}))).status == 415
    json_type = {"Content-Type": "application/json"}
    assert (await http.post("/api/offer", data=b"{", headers=json_type)).status == 400
    assert (await http.post("/api/offer", data=b"[" * 9000, headers=json_type)).status == 400
    huge = await http.post("/api/offer", json={"sdp": "v=0" + "x" * 300_000, "type": "offer"})
    assert huge.status == 413
    large = await http.post("/api/offer", json={"sdp": "v=0" + "x" * 70_000, "type": "offer"})
    assert large.status == 413


async def test_unknown_things_are_problems(http: TestClient) -> None:
    assert (await http.delete("/api/sessions/nobody")).status == 404
    patch = await http.patch("/api/offer", json={"pc_id": "nobody", "candidates": []})
    assert patch.status == 404
    wrong = await http.get("/api/offer")
    assert wrong.status in (404, 405)
    assert wrong.content_type == MIME


async def test_metrics_carry_the_build(http: TestClient) -> None:
    await http.post("/api/offer", json={})
    text = await (await http.get("/metrics")).text()
    assert 'omnisync_build_info{model="double"' in text
    assert 'omnisync_offers_refused_total{status="400"} 1.0' in text
