"""The example programs in Java, Go and Node publish, read what every other has published, and know whom to trust."""

import contextlib
import datetime as dt
import functools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from deployment import Deployment

from lintas.stack import certificates

CATALOGUE = Path(__file__).parents[2] / "schemas" / "catalogue"
EXAMPLES = Path(__file__).parents[2] / "examples"
PUBLISHER, CONSUMER, OPEN_DATA = "bmkg.inatews", "bnpb.early-warning", "ina-digital.open-data"
INBOX = f"inbox.{CONSUMER}"
LOGIN_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True)
class Language:
    """What a language's example needs, how it is built, and how its two programs are started."""

    needs: tuple[str, ...]
    build: Sequence[str]
    publish: Sequence[str]
    read: Sequence[str]
    trusts: str = ""  # the variable that names the authority; empty: the credentials file does


_JAVA = ("java", "@target/argfile")  # a class path is longer than is read in a command
EVERY_LANGUAGE: Mapping[str, Language] = {
    "java": Language(
        ("javac", "mvn"),
        ("mvn", "-B", "-q", "compile", "dependency:build-classpath", "-Dmdep.outputFile=target/classpath"),
        (*_JAVA, "Publish"),
        (*_JAVA, "Read"),
    ),
    "go": Language(
        ("go",),
        ("go", "build", "-o", "earthquakes", "."),
        ("./earthquakes", "publish"),
        ("./earthquakes", "read"),
        "SSL_CERT_FILE",
    ),
    "node": Language(
        ("node", "npm"),
        ("npm", "ci", "--no-audit", "--no-fund"),
        ("node", "publish.js"),
        ("node", "read.js"),
        "NODE_EXTRA_CA_CERTS",
    ),
}
# CI names those whose toolchain it has, and says which it leaves out (.ci/run)
LANGUAGES = {name: EVERY_LANGUAGE[name] for name in os.environ.get("LINTAS_TEST_LANGUAGES", "java go node").split()}


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a language's example, built; all that can be built are built at once, on first use."""
    folder = tmp_path_factory.mktemp("examples")

    def build(language: str) -> Path:
        built = folder / language
        shutil.copytree(EXAMPLES / language, built)
        done = run(LANGUAGES[language].build, built, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        if language == "java":
            classpath = f"target/classes:{(built / 'target' / 'classpath').read_text()}"
            (built / "target" / "argfile").write_text(f'-cp "{classpath}"')
        return built

    there = [name for name, language in LANGUAGES.items() if all(map(shutil.which, language.needs))]
    with ThreadPoolExecutor() as pool:
        building = {name: pool.submit(build, name) for name in there}

    def folder_of(name: str) -> Path:
        for program in LANGUAGES[name].needs:
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed: the example in {name} cannot be built")
        return building[name].result()

    return folder_of


def run(command: Sequence[str], folder: Path, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)


@functools.cache
def event_id(language: str) -> str:
    return f"{language}-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def published(deployment: Deployment, builds: Callable[[str], Path]) -> Mapping[str, str]:
    """What each program printed after it had published, twice, by language."""
    printed = {}
    for name, language in LANGUAGES.items():
        if not all(map(shutil.which, language.needs)):
            continue
        for _ in range(2):  # the second is a repeat, which the bus drops
            done = run([*language.publish, str(deployment.credentials_file(PUBLISHER)), event_id(name)], builds(name))
            assert done.returncode == 0, done.stderr
            printed[name] = done.stdout
    deployment.settle()
    return printed


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_program_publishes_is_stored_where_it_says(
    language: str, published: Mapping[str, str], builds: Callable[[str], Path], deployment: Deployment
) -> None:
    builds(language)  # skips where it cannot be built
    topic, partition, offset = published[language].split()
    (stored,) = [record for record in deployment.read(topic) if record.place == (topic, int(partition), int(offset))]
    assert stored.text("ce_id") == event_id(language)
    assert stored.text("ce_source") == f"urn:lintas:{PUBLISHER}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_reads_what_every_other_has_published_once_each(
    language: str, published: Mapping[str, str], builds: Callable[[str], Path], deployment: Deployment
) -> None:
    folder = builds(language)
    everything = deployment.read(INBOX)
    arguments = [str(deployment.credentials_file(CONSUMER)), f"{CONSUMER}.{language}", str(len(everything))]
    done = run([*LANGUAGES[language].read, *arguments], folder)
    assert done.returncode == 0, done.stderr
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(everything)
    quakes = [line for line in lines if line["event"]["id"] in {event_id(name) for name in published}]
    assert sorted(line["event"]["id"] for line in quakes) == sorted(event_id(name) for name in published)
    for line in quakes:
        assert line["event"]["agreement"] == "bnpb.early-warning.earthquake-measured"
        assert line["data"]["event_id"] == line["event"]["id"]
        assert (line["data"]["magnitude"], line["data"]["depth_km"]) == ("5.8", 140)
        assert "magnitude_tenths" not in line["data"]  # not released


def test_the_programs_in_python_publish_and_read_until_they_are_told_to_end(deployment: Deployment) -> None:
    def program(name: str, system: str) -> tuple[list[str], dict[str, str]]:
        credentials = {"LINTAS_CREDENTIALS_FILE": str(deployment.credentials_file(system)), "PYTHONUNBUFFERED": "1"}
        return [sys.executable, str(EXAMPLES / "python" / name)], {**os.environ, **credentials}

    command, environment = program("publish_earthquake.py", PUBLISHER)
    subprocess.run(command, env=environment, check=True, timeout=60)
    deployment.settle()
    command, environment = program("read_earthquakes.py", OPEN_DATA)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as reading:
        assert reading.stdout is not None
        try:
            assert any("bmkg-2026-0001" in line for line in reading.stdout)
        finally:
            reading.send_signal(signal.SIGINT)
    assert reading.returncode == 0


class TlsBus:
    """A registry over TLS that knows one schema, and a port that notes whether somebody trusts it as a broker."""

    def __init__(self, folder: Path) -> None:
        now = dt.datetime.now(dt.UTC)
        authority = certificates.authority("test", now)
        made = certificates.server(authority, "bus", "test", ["127.0.0.1"], now)
        self.authority = folder / "ca.pem"
        self.authority.write_bytes(authority.certificate)
        (folder / "server.pem").write_bytes(made.certificate + made.key)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(folder / "server.pem")
        self.met = threading.Event()
        self._registry = ThreadingHTTPServer(("127.0.0.1", 0), _LatestSchema)
        self._registry.socket = self._context.wrap_socket(self._registry.socket, server_side=True)
        self._broker = socket.create_server(("127.0.0.1", 0))
        self.credentials = folder / f"{PUBLISHER}.properties"

    def write_credentials(self, *more: str) -> None:
        lines = [
            f"bootstrap.servers=127.0.0.1:{self._broker.getsockname()[1]}",
            "security.protocol=SASL_SSL",
            "sasl.mechanism=SCRAM-SHA-512",
            f'sasl.jaas.config={LOGIN_MODULE} required username="{PUBLISHER}" password="none";',
            f"schema.registry.url=https://127.0.0.1:{self._registry.server_port}",
            *more,
        ]
        self.credentials.write_text("\n".join([*lines, ""]))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._registry.serve_forever), threading.Thread(target=self._meet)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._registry.shutdown()
            self._registry.server_close()
            self._broker.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            self._broker.close()

    def _meet(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._broker.accept()
                connection.settimeout(10)
                with contextlib.suppress(OSError), self._context.wrap_socket(connection, server_side=True) as met:
                    if met.recv(1):  # with TLS 1.3, a client that does not trust says so after the handshake
                        self.met.set()


class _LatestSchema(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        schema = (CATALOGUE / "events" / "id.go.bmkg.earthquake.measured.v1.avsc").read_text()
        body = json.dumps({"subject": "s", "version": 1, "id": 7, "schema": schema}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # whoever does not trust it hangs up
            super().handle()


@pytest.mark.parametrize("language", LANGUAGES)
def test_over_tls_a_program_trusts_the_authority_that_it_is_told_of_and_no_other(
    language: str, builds: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, bus, trusts = builds(language), TlsBus(tmp_path), LANGUAGES[language].trusts
    command = [*LANGUAGES[language].publish, str(bus.credentials), event_id(language)]
    with bus.running():
        bus.write_credentials()
        assert run(command, folder).returncode != 0
        assert not bus.met.is_set()
        if not trusts:
            bus.write_credentials("ssl.truststore.type=PEM", f"ssl.truststore.location={bus.authority}")
        environment = {**os.environ, trusts: str(bus.authority)} if trusts else None
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as program:
            try:
                assert bus.met.wait(60)
            finally:
                program.kill()
