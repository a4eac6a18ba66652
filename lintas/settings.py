"""Settings of every program of the bus: environment (``LINTAS_*``) over the running local bus over defaults."""

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from lintas.errors import BadSettings

LOCAL_BUS_FILE = "bus.json"


class Settings(BaseSettings):
    """What a program needs to know about the bus it serves.

    ``lintas up`` writes the addresses of the bus it started to ``<home>/bus.json``; in production the environment
    gives them.
    """

    model_config = SettingsConfigDict(env_prefix="LINTAS_", extra="forbid", frozen=True)

    home: Path = Field(Path(".lintas"), description="folder of the local bus: data, logs, secrets")
    bootstrap_servers: str | None = Field(None, description="Kafka brokers, host:port, separated by commas")
    security_protocol: Literal["SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "SASL_PLAINTEXT", description="how clients speak to Kafka"
    )
    ca_file: Path | None = Field(None, description="certificate authority of brokers and registry, PEM")
    registry_url: str | None = Field(None, description="Confluent-compatible API of the schema registry")
    postgres_dsn: str | None = Field(None, description="PostgreSQL connection string")
    secrets_dir: Path | None = Field(None, description="folder of credentials and keys; default <home>/secrets")

    lanes: PositiveInt = Field(8, description="number of lanes when the bus is created; then `lintas lanes resize`")
    replication_factor: PositiveInt = Field(1, description="copies of each partition of topics that are created")
    min_insync_replicas: PositiveInt = Field(1, description="copies that must acknowledge a write")

    batch_events: PositiveInt = Field(20_000, description="most events in one transaction of a lane")
    batch_wait_seconds: PositiveFloat = Field(0.1, description="how long a lane waits for a first event")
    duplicate_window_records: PositiveInt = Field(
        10_000,
        le=20_000,
        description="repeats are dropped within so many records (a committed position has room for 20,000)",
    )
    duplicate_window_seconds: PositiveInt = Field(900, description="... and within so many seconds")
    transaction_timeout_seconds: PositiveFloat = Field(15, description="a lane's transaction is abandoned after this")
    idle_recommit_seconds: PositiveFloat = Field(86_400, description="idle positions are committed anew this often")
    dead_letters_in_a_row: PositiveInt = Field(
        1_000,
        description="an agreement is set aside in an input partition after so many, if most of its events are dead",
    )
    stopped_lane_seconds: PositiveFloat = Field(
        30, description="a lane that a person must look at repeats its alarm, and looks whether it may go on"
    )
    unfinished_resize_seconds: PositiveFloat = Field(
        10, description="workers finish a resize whose command has died after this, or up to twice as long"
    )
    session_timeout_seconds: PositiveFloat = Field(6, description="a silent worker loses its lanes after this")
    log_format: Literal["json", "text"] | None = Field(
        None, description="how programs log; if not set, text to a terminal and else JSON lines"
    )

    console_url: str | None = Field(
        None, description="where browsers find the console; default: where it listens, if that is this machine alone"
    )
    console_session_seconds: PositiveFloat = Field(28_800, description="people log in to the console this often")
    console_idle_seconds: PositiveFloat = Field(1_800, description="... and when they have done nothing for so long")
    oidc_issuer: str | None = Field(
        None, description="OpenID Connect issuer of people's identities; on loopback the console has one of its own"
    )
    oidc_client_id: str = Field("lintas-console", description="what the issuer knows the console as")
    oidc_client_secret_file: Path | None = Field(
        None, description="file with the console's secret at the issuer; default <secrets>/oidc-client-secret, if there"
    )
    oidc_roles_claim: str = Field("roles", description="where ID tokens have a person's roles; dots lead into objects")
    oidc_agency_claim: str = Field("agency", description="where ID tokens have the agency that a steward is of")

    gateway_url: str | None = Field(
        None,
        description="where systems find the gateway; default: where it listens, if that is this machine alone",
    )
    gateway_systems_dir: Path | None = Field(
        None, description="folder with the credentials of the systems that the gateway speaks for; default <secrets>"
    )
    gateway_issuer: str | None = Field(
        None, description="issuer of systems' access tokens; on loopback the gateway has one of its own"
    )
    gateway_audience: str = Field("lintas-gateway", description="the audience that access tokens must name")
    gateway_system_claim: str = Field(
        "client_id", description="where access tokens name the system; dots lead into objects"
    )
    gateway_certificate_file: Path | None = Field(None, description="the gateway's certificate chain for TLS, PEM")
    gateway_key_file: Path | None = Field(None, description="... and its private key, PEM")
    gateway_body_bytes: PositiveInt = Field(
        8_388_608,
        description="largest body of a request to the gateway; one system has no more than four such under way",
    )
    gateway_batch_events: PositiveInt = Field(1_000, description="most events in one request, either way")
    gateway_events_per_second: PositiveFloat = Field(
        2_000, description="what one system may send and fetch through one gateway, ten seconds' worth at once"
    )
    gateway_requests_at_once: PositiveInt = Field(64, description="open requests of one system, streams included")
    gateway_request_seconds: PositiveFloat = Field(30, description="longest time of a request, and longest `wait`")
    gateway_stream_seconds: PositiveFloat = Field(3_600, description="a stream of an inbox ends after this")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the running local bus."""
        home = init_settings().get("home") or env_settings().get("home") or ".lintas"
        local = JsonConfigSettingsSource(settings_cls, json_file=Path(str(home)) / LOCAL_BUS_FILE)
        return init_settings, env_settings, local

    @property
    def secrets(self) -> Path:
        """The folder of credentials and keys."""
        return self.secrets_dir or self.home / "secrets"

    @property
    def brokers(self) -> str:
        """The Kafka brokers.

        Raises:
            BadSettings: no bus runs here and the environment names none.
        """
        return self._required("bootstrap_servers", self.bootstrap_servers)

    @property
    def registry(self) -> str:
        """The base address of the registry's Confluent-compatible API, without a trailing slash.

        Raises:
            BadSettings: no bus runs here and the environment names none.
        """
        return self._required("registry_url", self.registry_url).rstrip("/")

    def _required(self, name: str, value: str | None) -> str:
        if value is None:
            raise BadSettings(
                name=f"LINTAS_{name.upper()}",
                reason=f"it is not set, and no bus is running in {self.home}",
                remedy="start a bus with `lintas up`, or set it to the address of yours.",
            )
        return value
