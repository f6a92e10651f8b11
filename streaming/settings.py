"""The one settings tree: defaults < TOML file < OMNISYNC_* environment < command-line flags."""

import argparse
import ipaddress
import re
import ssl
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

Codec = Literal["vp8", "h264"]
Batching = Literal["auto", "on", "off"]

# RFC 7064 and 7065, of which aiortc knows no address in brackets.
_ICE_URL = re.compile(
    r"(stuns?:(?!.*\?)|turns?:)[A-Za-z0-9._-]+(:(?P<port>[0-9]{1,5}))?(\?transport=(udp|tcp))?"
)


class WrongSettings(Exception):
    """A setting that cannot be used; the message is one line that names it."""


class IceServer(BaseModel):
    """One STUN or TURN server, in the shape of RTCIceServer."""

    urls: str
    username: str | None = None
    credential: str | None = None

    @field_validator("urls")
    @classmethod
    def _check_urls(cls, urls: str) -> str:
        found = _ICE_URL.fullmatch(urls)
        if found is None or not 0 < int(found["port"] or 1) < 65536:
            raise ValueError(
                f"{urls!r} is not stun:HOST[:PORT] or turn:HOST[:PORT][?transport=udp|tcp]"
            )
        return urls


class Settings(BaseSettings):
    """What an operator can change: by flag, by OMNISYNC_NAME, or in a TOML file (--config FILE)."""

    model_config = SettingsConfigDict(
        env_prefix="OMNISYNC_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_exit_on_error=False,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_prog_name="omnisync serve",
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    token: SecretStr | None = Field(None, description="bearer token that the API demands")
    insecure: bool = Field(False, description="allow a public address without a token")
    allowed_origins: list[str] = Field(
        [], description="origins of the page behind a proxy that changes Host"
    )
    tls_cert: Path | None = Field(None, description="PEM certificate chain; serves https")
    tls_key: Path | None = Field(None, description="PEM private key of the certificate")

    weights: Path | None = Field(None, description="folder of graphs instead of the shipped one")
    runtime: str = Field("auto", description="RUNTIME:VARIANT; auto: the fastest of this machine")
    threads: int = Field(1, ge=1, le=64, description="threads of one model call")
    slots: int = Field(3, ge=1, le=8, description="frames in the window; look-ahead is slots-1")
    persons: Path | None = Field(None, description="folder that `omnisync personalize` wrote to")
    speech_gate: bool = Field(True, description="close the mouth where there is no speech")

    ice_servers: list[IceServer] = Field([], description="STUN and TURN servers for both sides")
    video_kbps: int = Field(
        2000, ge=200, le=20000, description="full bit rate of the returned picture"
    )
    max_sessions: int = Field(0, ge=0, le=1000, description="calls at a time; 0: by measured speed")
    batching: Batching = Field("auto", description="share model calls; auto: where it is faster")
    max_sdp_bytes: int = Field(65536, ge=2048, le=1 << 20, description="largest accepted offer")
    offers_per_minute: int = Field(30, ge=1, le=6000, description="offers per address and minute")
    connect_timeout_s: float = Field(15.0, gt=0, le=120, description="time to become connected")
    stall_timeout_s: float = Field(10.0, gt=0, le=120, description="close after no RTP for so long")
    drain_timeout_s: float = Field(2.0, ge=0, le=60, description="time for calls to end at stop")

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @model_validator(mode="after")
    def _check_exposure(self) -> Self:
        if not self.insecure and self.token is None and not is_loopback(self.host):
            raise ValueError(
                f"host: {self.host} is reachable from other machines; set a token, or --insecure"
            )
        if self.token is not None and len(self.token.get_secret_value()) < 8:
            raise ValueError("token: at least 8 characters")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert: needs tls_key beside it, and the other way round")
        for name, path in (("tls_cert", self.tls_cert), ("tls_key", self.tls_key)):
            if path is not None and not path.is_file():
                raise ValueError(f"{name}: {path} is no file")
        try:
            _ = self.tls
        except OSError as error:  # OpenSSL's errors are of it too
            raise ValueError(f"tls_cert, tls_key: no PEM chain and its key: {error}") from error
        if self.persons is not None and not self.persons.is_dir():
            raise ValueError(f"persons: {self.persons} is no folder")
        return self

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """Of the certificate; None: serves http."""
        if self.tls_cert is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.tls_cert, self.tls_key)
        return context

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # What is passed in code comes from the file, so the environment stands above it.
        return env_settings, init_settings


def is_loopback(host: str) -> bool:
    """True for names and addresses that only this machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(argv: list[str] | None = None) -> Settings:
    """Reads all sources. `argv` are the flags without the program's name.

    Raises WrongSettings with one line that names the wrong value; `--help` exits.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config", type=Path)
    known, flags = first.parse_known_args(argv or [])
    try:
        sources: dict[str, Any] = {**_read_toml(known.config), "_cli_parse_args": flags}
        return Settings(**sources)
    except ValidationError as error:
        raise WrongSettings(_one_line(error)) from error
    except (SettingsError, argparse.ArgumentError) as error:
        raise WrongSettings(" ".join(str(error).split())) from error


def _read_toml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongSettings(f"--config {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongSettings(f"--config {path}: {error}") from error


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message
