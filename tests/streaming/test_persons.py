"""Which person a call asks for."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from engine import Person
from streaming.app import Server
from streaming.capacity import Capacity
from streaming.problems import MIME
from streaming.settings import Settings, WrongSettings, load_settings

from .caller import Caller
from .double import DoubleEngine


def write_person(folder: Path, name: str, base: str = "double") -> None:
    (folder / name).mkdir()
    (folder / name / "own.onnx").write_bytes(b"graph")
    card = {
        "format": 1,
        "name": name,
        "base": base,
        "files": {"int8": "own.onnx"},
        "hashes": {"own.onnx": hashlib.sha256(b"graph").hexdigest()},
    }
    (folder / name / "person.json").write_text(json.dumps(card))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_person(tmp_path, "ada")
    write_person(tmp_path, "bob-2")
    write_person(tmp_path, "old", base="other weights")
    write_person(tmp_path, "No Name")
    (tmp_path / "half-written").mkdir()
    (tmp_path / ".cy.1.part").mkdir()
    return tmp_path


@pytest.fixture
def engine() -> DoubleEngine:
    return DoubleEngine()


@pytest.fixture
async def http(engine: DoubleEngine, folder: Path) -> AsyncIterator[TestClient]:
    server = Server(Settings(persons=folder, offers_per_minute=6000), engine, Capacity(20.0, 2))
    async with TestClient(TestServer(server.application())) as client:
        yield client


async def persons_of(settings: Settings) -> list[str]:
    server = Server(settings, DoubleEngine(), Capacity(20.0, 2))
    token = settings.token.get_secret_value() if settings.token else ""
    async with TestClient(TestServer(server.application())) as http:
        headers = {"Authorization": f"Bearer {token}"}
        return (await (await http.get("/api/config", headers=headers)).json())["persons"]


async def test_names_are_listed_to_those_who_may_know(folder: Path) -> None:
    names = ["ada", "bob-2", "old"]
    assert await persons_of(Settings(persons=folder)) == names
    assert await persons_of(Settings(host="0.0.0.0", token="secret-token", persons=folder)) == names
    assert await persons_of(Settings(host="0.0.0.0", insecure=True, persons=folder)) == []
    assert await persons_of(Settings()) == []


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("nobody", 404),
        ("half-written", 404),
        ("old", 409),
        ("../ada", 400),
        ("..", 400),
        (".cy.1.part", 400),
        ("No Name", 400),
        ("", 400),
        (7, 400),
        ("a" * 41, 400),
    ],
)
async def test_a_person_that_cannot_be_had_is_a_problem(
    http: TestClient, name: object, status: int
) -> None:
    caller = Caller("", http.session)
    sdp = await caller.offer()
    await caller.pc.close()
    response = await http.post("/api/offer", json={"sdp": sdp, "type": "offer", "person": name})
    assert response.status == status
    assert response.content_type == MIME
    assert (await response.json(content_type=None))["detail"]


async def test_a_server_that_stops_while_a_person_is_read_lets_nobody_in(folder: Path) -> None:
    server = Server(Settings(persons=folder), DoubleEngine(), Capacity(20.0, 2))
    find = server.calls.persons.find

    def find_late(name: object) -> Person:
        server.calls.draining = True
        return find(name)

    server.calls.persons.find = find_late  # type: ignore[method-assign]
    async with TestClient(TestServer(server.application())) as http:
        caller = Caller("", http.session)
        body = {"sdp": await caller.offer(), "type": "offer", "person": "ada"}
        await caller.pc.close()
        response = await http.post("/api/offer", json=body)
        assert response.status == 503
        assert "stopping" in (await response.json(content_type=None))["detail"]
        assert server.calls.active == 0


@pytest.mark.rtc
async def test_a_call_runs_on_the_person_it_asked_for(
    http: TestClient, engine: DoubleEngine
) -> None:
    caller = Caller(str(http.make_url("")).rstrip("/"), http.session)
    await caller.connect(person="ada")
    await caller.until(lambda: bool(caller.of_type("stats")))
    assert caller.of_type("stats")[-1]["person"] == "ada"
    assert [person.name for person in engine.persons if person] == ["ada"]
    await caller.pc.close()


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(WrongSettings, match="persons"):
        load_settings(["--persons", str(tmp_path / "gone")])
