"""HTTP to a receiver, on real sockets of this machine: TLS, redirects, limits, proxies; and the callback."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from webhook_world import Told, World, delivery, secret_file

from connectors.plugins.webhook import sink as sink_module
from connectors.plugins.webhook.answers import Answer, NoAnswer
from connectors.plugins.webhook.network import PinnedNetwork
from connectors.plugins.webhook.receiver import HttpReceiver
from connectors.plugins.webhook.settings import WebhookConfig
from lintas.errors import ConnectorFailed

NAME = "receiver.example"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Site:
    """A TCP server that keeps what it is sent and answers each request with the same bytes."""

    def __init__(self, answer: bytes, tls: ssl.SSLContext | None = None, *, silent: bool = False) -> None:
        self.answer, self.tls, self.silent = answer, tls, silent
        self.requests: list[bytes] = []
        self.connections = 0
        self.talks: set[asyncio.Task[None]] = set()
        self.peer_names: list[str] = []

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for task in self.talks:
            task.cancel()
        await asyncio.gather(*self.talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if (task := asyncio.current_task()) is not None:
            self.talks.add(task)
        with contextlib.closing(writer):
            await self._answer(reader, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peercert")
        self.peer_names += [value for rdn in (peer or {}).get("subject", ()) for _, value in rdn]
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                size = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                self.requests.append(head + await reader.readexactly(size))
                if self.silent:
                    await asyncio.sleep(60)
                writer.write(self.answer)
                await writer.drain()


@contextlib.asynccontextmanager
async def receiver(
    site: Site,
    scheme: str = "http",
    host: str = NAME,
    *,
    tls: ssl.SSLContext | None = None,
    allow_private: bool = True,
    seconds: float = 5,
) -> AsyncIterator[HttpReceiver]:
    async def resolving(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    network = PinnedNetwork(allow_private=allow_private, resolving=resolving)
    made = HttpReceiver(
        f"{scheme}://{host}:{site.port}/hook?x=1",
        tls=tls or ssl.create_default_context(),
        network=network,
        seconds=seconds,
        connections=4,
    )
    try:
        yield made
    finally:
        await made.close()


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        self.file = self._write("ca", self._signed(self.name, self.key, x509.BasicConstraints(ca=True, path_length=0)))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
        return self._write(name, self._signed(subject, key, alternative)), self._write_key(name, key)

    def server(self, name: str, *, mutual: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.file)
        context.load_cert_chain(*self.issue(name))
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
        return context

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, name: str, content: bytes) -> Path:
        file = self.folder / f"{name}.pem"
        file.write_bytes(content)
        return file

    def _write_key(self, name: str, key: ec.EllipticCurvePrivateKey) -> Path:
        return self._write(
            f"{name}.key",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


async def test_a_request_goes_to_the_address_with_the_names_host_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    async with Site(b"HTTP/1.1 200 OK\r\nX-Y: z\r\nContent-Length: 2\r\n\r\nhi") as site, receiver(site) as made:
        answer = await made.request("POST", {"content-type": "application/json", "webhook-id": "m"}, b"{}")
        await made.request("POST", {}, b"{}")
    assert answer == Answer(200, {"x-y": "z", "content-length": "2"})
    head, _, body = site.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?x=1 HTTP/1.1\r\n")
    assert f"Host: {NAME}:{site.port}".encode() in head
    assert b"webhook-id: m" in head
    assert body == b"{}"
    assert site.connections == 1  # kept for the next


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with Site(OK) as other:
        location = f"http://127.0.0.1:{other.port}/".encode()
        moved = b"HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
        async with Site(moved) as site, receiver(site) as made:
            answer = await made.request("POST", {}, b"{}")
    assert (answer.status, other.requests) == (307, [])


async def test_a_private_address_is_not_even_connected_to() -> None:
    async with Site(OK) as site, receiver(site, allow_private=False) as made:
        with pytest.raises(NoAnswer, match="nothing may be sent") as refused:
            await made.request("POST", {}, b"{}")
    assert refused.value.reason == "forbidden-address"
    assert site.connections == 0


async def test_a_receiver_that_says_nothing_is_left_after_its_time() -> None:
    async with Site(OK, silent=True) as site, receiver(site, seconds=0.2) as made:
        with pytest.raises(NoAnswer, match=r"within 0\.2 s") as refused:
            await made.request("POST", {}, b"{}")
    assert refused.value.reason == "timeout"


async def test_an_endless_answer_is_cut_off() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n" + bytes(200_000)
    async with Site(endless) as site, receiver(site) as made:
        assert (await made.request("POST", {}, b"{}")).status == 200


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"SSH-2.0-x\r\n\r\n", "broken-answer"), (b"HTTP/1.1 200 OK\r\nX: " + bytes(200_000), "broken-answer")],
)
async def test_what_is_no_http_is_told(answer: bytes, reason: str) -> None:
    async with Site(answer) as site, receiver(site) as made:
        with pytest.raises(NoAnswer) as refused:
            await made.request("POST", {}, b"{}")
    assert refused.value.reason == reason


async def test_nobody_at_the_address_is_told() -> None:
    async with Site(OK) as site:
        pass
    await site.server.wait_closed()
    async with receiver(site) as made:
        with pytest.raises(NoAnswer) as refused:
            await made.request("POST", {}, b"{}")
    assert refused.value.reason == "unreachable"


async def test_tls_checks_the_urls_name_at_the_pinned_address(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusted = ssl.create_default_context(cafile=authority.file)
    async with Site(OK, authority.server(NAME)) as site:
        async with receiver(site, "https", tls=trusted) as made:
            assert (await made.request("POST", {}, b"{}")).status == 204
        async with receiver(site, "https", "other.example", tls=trusted) as made:
            with pytest.raises(NoAnswer, match="cannot be reached"):
                await made.request("POST", {}, b"{}")
        async with receiver(site, "https") as made:  # an authority that is not ours
            with pytest.raises(NoAnswer, match="cannot be reached"):
                await made.request("POST", {}, b"{}")


def test_an_encrypted_key_is_refused_and_its_password_asked_of_nobody(tmp_path: Path) -> None:
    certificate, plain = Authority(tmp_path).issue("bus.example")
    key = serialization.load_pem_private_key(plain.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"geheim")
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    asking = (
        "import sys; from connectors.plugins.webhook.settings import WebhookConfig as Config\n"
        "Config(url='https://r.example', origin='a', secret_files=['s'],"
        " client_certificate_file=sys.argv[1], client_key_file=sys.argv[2]).tls()"
    )
    command = [sys.executable, "-c", asking, str(certificate), str(encrypted)]
    asked = subprocess.run(command, input=b"geheim\n", start_new_session=True, capture_output=True, check=False)
    assert b"SSLError" in asked.stderr
    assert b"pass phrase" not in asked.stderr


async def test_mutual_tls_shows_our_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("bus.example")
    config = WebhookConfig(
        url=f"https://{NAME}/hook",
        origin="bus.example",
        secret_files=(secret_file(tmp_path),),
        ca_file=authority.file,
        client_certificate_file=certificate,
        client_key_file=key,
    )
    async with Site(OK, authority.server(NAME, mutual=True)) as site:
        async with receiver(site, "https", tls=config.tls()) as made:
            assert (await made.request("POST", {}, b"{}")).status == 204
        async with receiver(site, "https", tls=ssl.create_default_context(cafile=authority.file)) as made:
            with pytest.raises(NoAnswer):
                await made.request("POST", {}, b"{}")
    assert "bus.example" in site.peer_names


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def waiting_for_callback(folder: Path, port: int) -> World:
    key = folder / "callback-key"
    key.write_text("k" * 40)
    world = World(
        folder,
        rate_per_minute=600,
        callback_url="https://bus.example/permit",
        callback_listen=f"127.0.0.1:{port}",
        callback_key_file=str(key),
    )
    world.receiver.permits = lambda _: Answer(200)
    return world


@pytest.fixture
def local() -> Callable[[str], httpx.AsyncClient]:
    return lambda base: httpx.AsyncClient(base_url=base, trust_env=False, timeout=5)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_receiver_may_give_its_permission_later(
    tmp_path: Path, method: str, local: Callable[[str], httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_module, "_SOON_SECONDS", 0)  # the clock stands still: nothing comes by waiting
    port = free_port()
    world = waiting_for_callback(tmp_path, port)
    await world.start()
    told = world.receiver.asked[0]["WebHook-Request-Callback"]
    assert told.startswith("https://bus.example/permit?id=hook&key=")
    assert world.sink.room() == 0
    await world.deliver(delivery(1))
    assert world.receiver.posted == []
    path = told.removeprefix("https://bus.example")
    async with local(f"http://127.0.0.1:{port}") as client:
        assert (await client.request(method, path[:-1])).status_code == 404
        assert (await client.request("DELETE", path)).status_code == 404
        assert (await client.request(method, path, headers={"WebHook-Allowed-Rate": "none"})).status_code == 400
        assert not world.receiver.posted
        assert (await client.request(method, path, headers={"WebHook-Allowed-Rate": "60"})).status_code == 200
    await world.idle(2)
    await world.idle(2)
    assert world.receiver.numbers() == [1]
    assert world.progress["permission"]["per_minute"] == 60
    await world.restart()  # it stands, though the receiver withholds the headers again
    world.clock.forward(1)
    assert world.sink.room() > 0
    await world.sink.stop()


async def test_permission_by_callback_stands_however_long_the_receiver_cannot_be_asked(
    tmp_path: Path, local: Callable[[str], httpx.AsyncClient]
) -> None:
    port = free_port()
    world = waiting_for_callback(tmp_path, port)
    await world.start()
    told = world.receiver.asked[0]["WebHook-Request-Callback"]
    async with local(f"http://127.0.0.1:{port}") as client:
        await client.get(told.removeprefix("https://bus.example"))
    await world.idle(24 * 3600)
    assert len(world.receiver.asked) == 2
    await world.idle(23 * 3600)
    assert len(world.receiver.asked) == 2  # withheld again; it is asked daily
    world.receiver.permits = lambda _: Answer(501)
    await world.idle(3 * 24 * 3600)
    await world.restart()
    assert len(world.receiver.asked) == 4
    assert world.sink.room() > 0
    await world.sink.stop()


async def test_two_connectors_cannot_wait_for_callbacks_at_one_address(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        world = waiting_for_callback(tmp_path, taken.getsockname()[1])
        with pytest.raises(ConnectorFailed, match="nothing can listen"):
            await world.start()
        await world.sink.stop()


async def test_a_receiver_that_refuses_outright_is_not_waited_for(tmp_path: Path) -> None:
    world = waiting_for_callback(tmp_path, free_port())
    world.receiver.permits = lambda _: Answer(200, {"webhook-allowed-origin": "someone.else"})
    with pytest.raises(ConnectorFailed, match="does not permit"):
        await world.start()
    await world.sink.stop()
    assert isinstance(world.receiver, Told)
