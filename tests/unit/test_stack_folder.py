"""The secrets of a production stack: made once, for their owner alone, and never shown."""

import datetime as dt
import os
import shutil
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from lintas.cli.main import main as root
from lintas.credentials import load
from lintas.errors import BadSettings
from lintas.settings import Settings
from lintas.stack.folder import StackFolder

NOW = dt.datetime(2026, 11, 26, 8, tzinfo=dt.UTC)
OWNER = (os.getuid() or 10_001, os.getgid() or 10_001)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that tests only look at."""
    path = tmp_path_factory.mktemp("made") / "secrets"
    StackFolder(path, "bus.example.go.id", 3, ["10.0.0.7"]).make(OWNER, NOW)
    return path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> StackFolder:
    """The same, to be changed."""
    shutil.copytree(made, tmp_path / "secrets")
    return StackFolder(tmp_path / "secrets", "bus.example.go.id", 3, ["10.0.0.7"])


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_only_their_owner_can_read_them(made: Path) -> None:
    for path in (made, *made.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        assert (path.stat().st_uid, path.stat().st_gid) == OWNER, path


def test_what_exists_stays_as_it_is(folder: StackFolder) -> None:
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert folder.make(OWNER, NOW) == []
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


def test_one_more_broker_gets_a_certificate_and_nothing_else_changes(folder: StackFolder) -> None:
    more = StackFolder(folder.path, "bus.example.go.id", 4)
    assert more.make(OWNER, NOW) == [folder.path / "kafka-4.pem"]


def test_the_command_prints_no_secret(tmp_path: Path) -> None:
    told = CliRunner().invoke(root, ["stack", "secrets", str(tmp_path / "secrets")])
    assert told.exit_code == 0, told.output
    assert "23 files made" in told.output
    secret = {
        word
        for path in (tmp_path / "secrets").rglob("*")
        if path.is_file() and path.name not in {"stack.env", "ca.pem"}
        for word in path.read_text().replace('"', " ").replace("=", " ").split()
        if len(word) > 20 and not word.startswith(("org.apache", "https://", "kafka-1", "apicurio."))
    }
    assert len(secret) > 10
    assert not [word for word in secret if word in told.output]


def test_an_owner_must_not_be_root(tmp_path: Path) -> None:
    told = CliRunner().invoke(root, ["stack", "secrets", str(tmp_path / "secrets"), "--owner", "0:0"])
    assert told.exit_code == 2
    assert not (tmp_path / "secrets").exists()


def test_servers_are_signed_by_the_authority_for_the_names_they_are_reached_by(made: Path) -> None:
    authority = certificate(made / "ca.pem")
    for name in ("kafka-1", "kafka-2", "kafka-3", "registry", "postgres"):
        found = certificate(made / f"{name}.pem")
        found.verify_directly_issued_by(authority)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [f"{name}.bus.example.go.id", name]
        assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]
        uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert ExtendedKeyUsageOID.SERVER_AUTH in uses


def test_only_brokers_have_certificates_of_nodes(made: Path) -> None:
    """deploy/kafka/server.properties makes these, and no others, superusers."""
    subjects = {
        path.stem: certificate(path).subject.rfc4514_string() for path in made.glob("*.pem") if "-key" not in path.stem
    }
    nodes = {name for name, subject in subjects.items() if subject == f"CN={name},O=Lintas nodes"}
    assert nodes == {"kafka-1", "kafka-2", "kafka-3"}
    assert all("Lintas nodes" not in subject for name, subject in subjects.items() if name not in nodes)


def test_an_authority_signs_servers_and_nothing_below_them(made: Path) -> None:
    authority = certificate(made / "ca.pem")
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert isinstance(authority.public_key(), ec.EllipticCurvePublicKey)


def test_certificates_are_renewed_by_the_same_authority_and_nothing_else_is(folder: StackFolder) -> None:
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    later = NOW + dt.timedelta(days=300)
    made = folder.make(OWNER, later, renew=True)
    assert {path.name for path in made} == {
        *("kafka-1.pem", "kafka-2.pem", "kafka-3.pem"),
        *("registry.pem", "registry-key.pem", "postgres.pem", "postgres-key.pem"),
    }
    assert all(path.read_bytes() == text for path, text in before.items() if path not in made)
    for path, ends in folder.expiries().items():
        certificate(path).verify_directly_issued_by(certificate(folder.path / "ca.pem"))
        assert ends > later + dt.timedelta(days=365)


def test_without_the_authoritys_key_nothing_is_signed_and_the_error_says_so(folder: StackFolder) -> None:
    (folder.path / "ca-key.pem").unlink()
    assert folder.make(OWNER, NOW) == []  # nothing is to be signed
    with pytest.raises(BadSettings, match=r"ca-key\.pem"):
        folder.make(OWNER, NOW, renew=True)


def test_programs_find_their_credentials_and_stock_clients_the_addresses(made: Path) -> None:
    assert load(Settings(secrets_dir=made / "programs"), "lintas.worker").principal == "lintas.worker"
    text = (made / "programs/admin.properties").read_text()
    assert "bootstrap.servers=kafka-1.bus.example.go.id:19092,kafka-2.bus.example.go.id:29092" in text
    assert "security.protocol=SASL_SSL" in text
    assert "schema.registry.url=https://registry.bus.example.go.id:8443/apis/ccompat/v7" in text


def test_ids_of_kafka_never_begin_with_a_dash(made: Path) -> None:
    ids = dict(line.split("=", 1) for line in (made / "stack.env").read_text().splitlines() if "KAFKA" in line)
    assert set(ids) == {"KAFKA_CLUSTER_ID", "KAFKA_DIRECTORY_1", "KAFKA_DIRECTORY_2", "KAFKA_DIRECTORY_3"}
    assert len(set(ids.values())) == 4
    assert all(len(value) == 22 and not value.startswith("-") for value in ids.values())
