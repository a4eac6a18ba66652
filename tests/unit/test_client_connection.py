from pathlib import Path

import pytest
from lintas_client import BadConnection, Connection

from lintas import credentials
from lintas.settings import Settings

ENVIRONMENT = {
    "LINTAS_BOOTSTRAP_SERVERS": "kafka:9092",
    "LINTAS_REGISTRY_URL": "https://registry/apis/ccompat/v7/",
    "LINTAS_SYSTEM": "dukcapil.siak",
    "LINTAS_PASSWORD": "hush-hush",
}


def test_the_credentials_file_that_the_bus_writes_is_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, bootstrap_servers="kafka:9092", registry_url="http://registry")
    written = credentials.create(settings, "dukcapil.siak")
    connection = Connection.from_properties(credentials.path_of(settings, "dukcapil.siak"))
    assert (connection.system, connection.password) == ("dukcapil.siak", written.password)
    assert (connection.bootstrap_servers, connection.registry_url) == ("kafka:9092", "http://registry")
    assert connection.security_protocol == "SASL_PLAINTEXT"


def test_the_environment_is_encrypted_unless_it_says_otherwise() -> None:
    connection = Connection.from_environment(ENVIRONMENT)
    assert connection.security_protocol == "SASL_SSL"
    assert connection.registry_url == "https://registry/apis/ccompat/v7"
    assert "ssl_context" in connection.kafka_options()


def test_the_environment_overrides_the_credentials_file_it_names(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, bootstrap_servers="old:9092", registry_url="http://registry")
    credentials.create(settings, "dukcapil.siak")
    connection = Connection.from_environment(
        {
            "LINTAS_CREDENTIALS_FILE": str(credentials.path_of(settings, "dukcapil.siak")),
            "LINTAS_BOOTSTRAP_SERVERS": "new:9092",
        }
    )
    assert (connection.bootstrap_servers, connection.registry_url) == ("new:9092", "http://registry")


def test_a_password_never_shows() -> None:
    assert "hush" not in repr(Connection.from_environment(ENVIRONMENT))


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(BadConnection, match="bootstrap_servers, registry_url, password"):
        Connection.from_environment({"LINTAS_SYSTEM": "dukcapil.siak"})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"LINTAS_SYSTEM": "dukcapil"}, "agency.system"),
        ({"LINTAS_SECURITY_PROTOCOL": "PLAINTEXT"}, "neither SASL_PLAINTEXT nor SASL_SSL"),
    ],
)
def test_settings_that_cannot_work_are_refused(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(BadConnection, match=reason) as refused:
        Connection.from_environment(ENVIRONMENT | changed)
    assert "hush" not in str(refused.value)


def test_a_credentials_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConnection, match=r"nobody\.properties.*No such file"):
        Connection.from_properties(tmp_path / "nobody.properties")


def test_a_missing_certificate_authority_is_named(tmp_path: Path) -> None:
    connection = Connection.from_environment(ENVIRONMENT | {"LINTAS_CA_FILE": str(tmp_path / "ca.pem")})
    with pytest.raises(BadConnection, match=r"ca\.pem"):
        connection.kafka_options()
