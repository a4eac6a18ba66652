"""The settings of a webhook."""

import ssl
import urllib.parse
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, StringConstraints, ValidationInfo, field_validator

from connectors.entitled import EventTypeSetting
from connectors.plugins.webhook.signatures import SecretsUnusable, Signer
from connectors.runtime.plugin import Config

_NAME = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$"
_DELAYS = (5.0, 30.0, 120.0, 300.0, 600.0, 900.0)
_SHORTEST_KEY = 32
_HIGHEST_PORT = 65_535
_DAY_SECONDS = 24 * 3600.0

Seconds = Annotated[float, Field(gt=0, le=7 * _DAY_SECONDS)]
DnsName = Annotated[str, StringConstraints(pattern=_NAME, max_length=253)]


class WebhookConfig(Config):
    """Settings of a webhook.

    What depends on other settings stands below them, so that its validator finds those of them that are right.
    """

    origin: DnsName = Field(description="the DNS name by which the receiver knows this sender (WebHook-Request-Origin)")
    secret_files: tuple[Path, ...] = Field(
        min_length=1,
        max_length=8,
        description="files that hold one secret each: whsec_ (HMAC, v1) or whsk_ (Ed25519, v1a); all of them sign",
    )
    allow_http: bool = Field(default=False, description="the URL may be http: nothing keeps what is sent from readers")
    url: str = Field(description="where deliveries are posted: https, without user, password or fragment")
    event_types: tuple[EventTypeSetting, ...] = Field(
        (), description="which event types are sent; all of the inbox if none is named"
    )
    mode: Literal["binary", "structured"] = Field(
        "binary", description="CloudEvents attributes as headers, or with the payload in the signed JSON body"
    )
    rate_per_minute: PositiveInt | None = Field(
        None, description="requests a minute to ask for, and never to exceed; no limit of ours if it is not given"
    )
    callback_listen: str | None = Field(
        None,
        pattern=r"^.+:[1-9][0-9]{0,4}$",
        description="host:port at which this connector waits for the callback, behind whatever ends TLS",
    )
    callback_key_file: Path | None = Field(
        None, description="file of the key that makes the callback URL hard to guess: 32 characters or more"
    )
    callback_url: str | None = Field(
        None,
        validate_default=True,
        description="https URL at which the receiver may give its permission later; it leads to callback_listen",
    )
    handshake: bool = Field(
        default=True, description="ask for permission by OPTIONS first, and daily; without it the receiver is trusted"
    )
    bearer_token_file: Path | None = Field(None, description="file of the token sent as Authorization: Bearer")
    ca_file: Path | None = Field(None, description="authorities that certify the receiver, PEM; default: the machine's")
    client_key_file: Path | None = Field(None, description="private key of our certificate, PEM, not encrypted")
    client_certificate_file: Path | None = Field(
        None, validate_default=True, description="our certificate for mutual TLS, PEM"
    )
    allow_private: bool = Field(
        default=False, description="the receiver may have a private or loopback address (never a link-local one)"
    )
    timeout_seconds: PositiveFloat = Field(15.0, le=60, description="for one request, all in all")
    concurrency: PositiveInt = Field(8, le=256, description="requests at the same time, of different keys")
    largest_bytes: PositiveInt = Field(1_048_576, description="larger bodies are not sent, but set aside for a person")
    retry_delays_seconds: tuple[Seconds, ...] = Field(
        _DELAYS, min_length=1, description="before each further attempt, a fifth more or less; the last one repeats"
    )
    give_up_after_seconds: Seconds = Field(
        _DAY_SECONDS, description="from when an event failed, or began to wait behind such a one, to its last attempt"
    )
    most_waiting: PositiveInt = Field(
        100_000, le=1_000_000, description="events that wait for another attempt; beyond it nothing more is taken"
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str, info: ValidationInfo) -> str:
        url = _web_url(url, ("https", "http"))
        if urllib.parse.urlsplit(url).scheme == "http" and info.data.get("allow_http") is False:
            raise ValueError("must be https: whoever is on the way could read http (allow_http: true permits it)")
        return url

    @field_validator("callback_url")
    @classmethod
    def _is_callback(cls, url: str | None, info: ValidationInfo) -> str | None:
        if any(callback := (url, *_given(info, "callback_listen", "callback_key_file"))) and not all(callback):
            raise ValueError("callback_url, callback_listen and callback_key_file go together")
        return None if url is None else _web_url(url, ("https",))

    @field_validator("handshake")
    @classmethod
    def _asks(cls, handshake: bool, info: ValidationInfo) -> bool:
        if not handshake and any(_given(info, "callback_url", "callback_listen", "callback_key_file")):
            raise ValueError("a callback needs handshake: true")
        return handshake

    @field_validator("client_certificate_file")
    @classmethod
    def _has_key(cls, certificate: Path | None, info: ValidationInfo) -> Path | None:
        if [certificate is not None] != _given(info, "client_key_file"):
            raise ValueError("client_certificate_file and client_key_file go together")
        return certificate

    @field_validator("callback_listen")
    @classmethod
    def _is_listen(cls, listen: str | None) -> str | None:
        if listen is not None and int(listen.rpartition(":")[2]) > _HIGHEST_PORT:
            raise ValueError(f"must end with a port of {_HIGHEST_PORT} at most")
        return listen

    def tls(self) -> ssl.SSLContext:
        """Whom to trust, and who we are.

        Raises:
            OSError: a file cannot be read or is no certificate or key (`ssl.SSLError` is an OSError).
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.client_certificate_file is not None:
            # Without a password, even an empty one, that of an encrypted key would be asked for at the terminal.
            context.load_cert_chain(self.client_certificate_file, self.client_key_file, password="")
        return context


def problems_on_this_machine(config: WebhookConfig) -> list[tuple[str, str]]:
    """What is wrong with the files that settings name, as (field, message)."""
    problems = []
    try:
        Signer.of_files(config.secret_files)
    except SecretsUnusable as error:
        problems.append(("secret_files", str(error)))
    for field, shortest in (("bearer_token_file", 1), ("callback_key_file", _SHORTEST_KEY)):
        file = getattr(config, field)
        if file is not None:
            problems += [(field, reason) for reason in _problems_of_text(file, shortest)]
    try:
        config.tls()
    except OSError as error:
        field = "ca_file" if config.client_certificate_file is None else "client_certificate_file"
        problems.append((field, f"certificates or key cannot be used: {error.strerror or error}"))
    return problems


def secret_text(file: Path) -> str:
    """The one line that a file holds.

    Raises:
        ValueError: it cannot be read, is empty or holds what no header may.
    """
    try:
        text = file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{file} holds more than ASCII") from None
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from None
    if not text or not text.isprintable() or " " in text:
        raise ValueError(f"{file} must hold one word")
    return text


def _problems_of_text(file: Path, shortest: int) -> list[str]:
    try:
        text = secret_text(file)
    except ValueError as error:
        return [str(error)]
    return [] if len(text) >= shortest else [f"{file} must hold at least {shortest} characters"]


def _given(info: ValidationInfo, *fields: str) -> list[bool]:
    """Whether settings above are given; one that is wrong is."""
    return [info.data.get(field, field) is not None for field in fields]


def _web_url(url: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        sound = parts.scheme in schemes and parts.hostname and parts.hostname.encode("idna") and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(
            f"must be a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}, in ASCII"
        )
    if parts.username is not None or parts.password is not None or "#" in url:
        raise ValueError("must have no user, no password and no fragment")
    return url
