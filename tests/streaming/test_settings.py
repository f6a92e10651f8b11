from pathlib import Path

import pytest

from streaming.settings import Settings, WrongSettings, is_loopback, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"OMNISYNC_{name.upper()}", raising=False)


def test_each_source_overrides_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings([]).port == 8080
    file = tmp_path / "omnisync.toml"
    file.write_text('port = 1001\nslots = 2\n[[ice_servers]]\nurls = "stun:stun.example.org"\n')
    config = ["--config", str(file)]
    settings = load_settings(config)
    assert (settings.port, settings.slots) == (1001, 2)
    assert settings.ice_servers[0].urls == "stun:stun.example.org"
    monkeypatch.setenv("OMNISYNC_PORT", "1002")
    assert load_settings(config).port == 1002
    assert load_settings([*config, "--port", "1003"]).port == 1003
    assert load_settings([*config, "--port", "1003"]).slots == 2


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (["--port", "99999"], "port"),
        (["--port", "many"], "port"),
        (["--video-kbps", "1"], "video_kbps"),
        (["--log-level", "loud"], "log_level"),
        (["--token", "short"], "token"),
        (["--tls-cert", "cert.pem"], "tls_cert"),
        (["--surprise", "1"], "--surprise"),
        (["--config", "does-not-exist.toml"], "does-not-exist.toml"),
    ],
)
def test_wrong_value_is_one_line_that_names_it(flags: list[str], name: str) -> None:
    with pytest.raises(WrongSettings, match=name) as caught:
        load_settings(flags)
    assert "\n" not in str(caught.value)


def test_wrong_file_and_environment_are_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.toml"
    file.write_text("prot = 80\n")
    with pytest.raises(WrongSettings, match="prot"):
        load_settings(["--config", str(file)])
    file.write_text("port = ")
    with pytest.raises(WrongSettings, match=r"a\.toml"):
        load_settings(["--config", str(file)])
    monkeypatch.setenv("OMNISYNC_MAX_SESSIONS", "-1")
    with pytest.raises(WrongSettings, match="max_sessions"):
        load_settings([])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_public_address_needs_a_token_or_a_word(host: str) -> None:
    with pytest.raises(WrongSettings, match="host"):
        load_settings(["--host", host])
    assert load_settings(["--host", host, "--insecure"]).host == host
    settings = load_settings(["--host", host, "--token", "long enough"])
    assert "long enough" not in repr(settings)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_needs_none(host: str) -> None:
    assert is_loopback(host)
    assert load_settings(["--host", host]).token is None
