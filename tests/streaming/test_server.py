"""The command line: what is dispatched where, and how a start is refused."""

import sys
import types

import pytest

import engine
import server


def test_serving_refuses_wrong_settings_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert server.main(["serve", "--port", "99999"]) == 2
    words = capsys.readouterr().err
    assert "port" in words and words.count("\n") == 1
    assert server.main(["--tls-cert", "gone.pem", "--tls-key", "gone.pem"]) == 2
    words = capsys.readouterr().err
    assert "tls_cert" in words and words.count("\n") == 1
    assert server.main(["--host", "0.0.0.0"]) == 2
    assert "token" in capsys.readouterr().err


def test_engine_that_cannot_start_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(**settings: object) -> None:
        raise engine.EngineError("the graphs are missing: run make weights")

    monkeypatch.setattr(engine.LipSyncEngine, "load", load)
    assert server.main(["--port", "0"]) == 1
    assert capsys.readouterr().err == "omnisync: the graphs are missing: run make weights\n"


def test_commands_are_imported_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    module = types.ModuleType("engine.dub")
    module.main = lambda argv: seen.append(argv) or 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "engine.dub", module)
    assert server.main(["dub", "--video", "a.mp4"]) == 7
    assert seen == [["--video", "a.mp4"]]


def test_unknown_command_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert server.main(["sing"]) == 2
    words = capsys.readouterr().err
    assert "sing" in words and all(name in words for name in server.COMMANDS)


def test_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(server.COMMANDS, "train", "module_that_is_not_there")
    assert server.main(["train"]) == 2
    assert "module_that_is_not_there" in capsys.readouterr().err
