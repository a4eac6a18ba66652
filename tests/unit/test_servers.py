"""Whether a server answers is asked for without logging in, and never waits for long."""

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from lintas.local import ports
from lintas.settings import Settings
from monitoring.servers import SSL_REQUEST, answering, postgres_answers, registry_answers


@pytest.fixture
def postgres() -> Iterator[Callable[[bytes], int]]:
    """A server that answers one question so."""
    servers: list[socket.socket] = []

    def start(answer: bytes) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            client, _ = server.accept()
            with client:
                if client.recv(64) == SSL_REQUEST:
                    client.sendall(answer)

        Thread(target=serve, daemon=True).start()
        return int(server.getsockname()[1])

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize(("answer", "expected"), [(b"S", True), (b"N", True), (b"E", False), (b"", False)])
def test_postgres_answers_if_it_says_whether_it_speaks_tls(
    postgres: Callable[[bytes], int], answer: bytes, expected: bool
) -> None:
    assert postgres_answers(f"postgresql://user:p%40ss@127.0.0.1:{postgres(answer)}/lintas") is expected


@pytest.mark.parametrize(
    "dsn", ["host=127.0.0.1 port={port} user=x password='a b'", "postgresql:///x?host=127.0.0.1&port={port}"]
)
def test_an_address_may_stand_in_either_form(postgres: Callable[[bytes], int], dsn: str) -> None:
    assert postgres_answers(dsn.format(port=postgres(b"S"))) is True


def free_port() -> int:
    return next(port for port in range(31_900, 32_000) if ports.is_free(port))


@pytest.mark.parametrize("dsn", ["postgresql://x@127.0.0.1:{port}/x", "postgresql://x@%2Fnowhere/x", "nonsense:x:y"])
def test_where_nothing_listens_or_the_address_is_none_it_does_not_answer(dsn: str) -> None:
    assert postgres_answers(dsn.format(port=free_port())) is False


@pytest.mark.parametrize(("status", "expected"), [(200, True), (500, False)])
def test_the_registry_answers_if_it_knows_its_configuration(status: int, expected: bool) -> None:
    asked: list[str] = []

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        Thread(target=server.handle_request, daemon=True).start()
        assert registry_answers(f"http://127.0.0.1:{server.server_port}/apis/") is expected
    assert asked == ["/apis/config"]


def test_only_servers_that_the_settings_name_are_asked() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert dict(answering(Settings(registry_url=nowhere))) == {"registry": False}
