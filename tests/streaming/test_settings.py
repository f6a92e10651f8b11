import json
from pathlib import Path

import pytest
from aiortc import RTCCertificate
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

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


@pytest.mark.parametrize(
    "url",
    [
        "stn:stun.example.org",
        "stun.example.org",
        "stun://stun.example.org",
        "stun:",
        "stun:stun.example.org:99999",
        "stun:stun.example.org:port",
        "stun:stun.example.org?transport=udp",
        "turn:turn.example.org?transport=sctp",
        "turn:[::1]:3478",
        "turn:turn.example.org\n",
    ],
)
def test_an_ice_server_that_no_call_could_use_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNISYNC_ICE_SERVERS", json.dumps([{"urls": url}]))
    with pytest.raises(WrongSettings, match=r"ice_servers\.0\.urls: .* is not stun:") as caught:
        load_settings([])
    assert "\n" not in str(caught.value)


def test_ice_servers_of_every_scheme_are_taken() -> None:
    urls = (
        "stun:192.0.2.1",
        "stuns:stun.example.org:5349",
        "turn:turn.example.org:3478?transport=udp",
        "turns:turn.example.org?transport=tcp",
    )
    assert len(Settings(ice_servers=[{"urls": url} for url in urls]).ice_servers) == len(urls)


def write_certificate(folder: Path, name: str) -> tuple[str, str]:
    made = RTCCertificate.generateCertificate()
    chain, key = folder / f"{name}.crt", folder / f"{name}.key"
    chain.write_bytes(made._cert.public_bytes(Encoding.PEM))
    key.write_bytes(made._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(chain), str(key)


def test_a_certificate_is_loaded_before_the_start(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path, "own")
    _, other = write_certificate(tmp_path, "other")
    assert load_settings(["--tls-cert", chain, "--tls-key", key]).tls is not None
    assert load_settings([]).tls is None
    (tmp_path / "notes.txt").write_text("no PEM")
    notes, gone = str(tmp_path / "notes.txt"), str(tmp_path / "gone.pem")
    for cert, private, name in (
        (gone, key, "tls_cert: .*gone.pem"),
        (chain, gone, "tls_key: .*gone.pem"),
        (notes, notes, "tls_cert, tls_key: "),
        (chain, other, "tls_cert, tls_key: "),
    ):
        with pytest.raises(WrongSettings, match=name) as caught:
            load_settings(["--tls-cert", cert, "--tls-key", private])
        assert "\n" not in str(caught.value)


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
