"""The receiver and the settings in docs/how-to/webhooks.md are what a reader would run."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from webhook_world import World, delivery, secret_file, symmetric

from connectors.plugins.webhook.receiver import http_receiver
from connectors.plugins.webhook.settings import WebhookConfig
from connectors.plugins.webhook.signatures import Signer, public_key
from schemas.model import Connector

PAGE = (Path(__file__).parents[2] / "docs/how-to/webhooks.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def secret() -> str:
    return symmetric()


@pytest.fixture
def url(secret: str, tmp_path: Path) -> Iterator[str]:
    """Where the page's receiver listens."""
    (program,) = blocks("python")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    log = (tmp_path / "receiver.log").open("w")
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=log, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/hook"
    process.kill()
    process.wait()
    log.close()


def test_the_receiver_needs_no_library_and_verifies_in_few_lines() -> None:
    (program,) = blocks("python")
    imported = set(re.findall(r"[\w.]+", program.splitlines()[0].removeprefix("import ")))
    assert {name.partition(".")[0] for name in imported} <= set(sys.stdlib_module_names)
    verifying = program[program.index("def do_POST") : program.index("def answer")].strip().splitlines()
    assert len([program.splitlines()[2], *verifying]) <= 15


async def test_the_receiver_takes_what_the_sink_sends(url: str, secret: str, tmp_path: Path) -> None:
    file = secret_file(tmp_path, "shared", secret)
    world = World(tmp_path, url=url, secret_files=[str(file)], allow_http=True, allow_private=True)
    world.clock.ms = int(time.time() * 1000)
    world.sink._connect = http_receiver
    await world.start()
    await world.deliver(*(delivery(number, f"k{number}") for number in range(5)))
    await world.sink.stop()
    assert world.kept("waiting/") == {}
    lines = (tmp_path / "receiver.log").read_text().splitlines()
    assert sorted(json.loads(line.split(" ", 2)[2])["n"] for line in lines) == list(range(5))


def signed(secret: str, body: bytes, at: int) -> dict[str, str]:
    signature = Signer([secret]).signature("msg_1", at, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}


@pytest.mark.parametrize(
    ("change", "body", "status"),
    [
        ({}, b"{}", 204),
        ({}, b"{ }", 401),
        ({"webhook-id": "msg_2"}, b"{}", 401),
        ({"webhook-timestamp": str(int(time.time()) + 60)}, b"{}", 401),
        ({"webhook-signature": "v1,AAAA v1a,BBBB"}, b"{}", 401),
    ],
)
def test_the_receiver_refuses_what_was_tampered_with(
    url: str, secret: str, change: Mapping[str, str], body: bytes, status: int
) -> None:
    headers = signed(secret, b"{}", int(time.time())) | dict(change)
    assert httpx.post(url, content=body, headers=headers, trust_env=False).status_code == status


def test_the_receiver_refuses_what_is_old(url: str, secret: str) -> None:
    headers = signed(secret, b"{}", int(time.time()) - 301)
    assert httpx.post(url, content=b"{}", headers=headers, trust_env=False).status_code == 401


def test_the_settings_on_the_page_are_valid() -> None:
    (written,) = blocks("yaml")
    connector = Connector.model_validate(yaml.safe_load(written))
    assert WebhookConfig.model_validate(connector.config)


def test_every_setting_that_the_page_names_exists() -> None:
    table = PAGE[PAGE.index("| setting |") : PAGE.index("**What is signed.**")]
    named = re.findall(r"`(\w+)", " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `")))
    assert set(named) <= WebhookConfig.model_fields.keys()


def test_the_commands_on_the_page_make_secrets_that_sign(tmp_path: Path) -> None:
    printed = ""
    for commands in blocks("sh"):
        if "openssl" in commands:
            run = subprocess.run(["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, check=True)
            printed += run.stdout
    private = (tmp_path / "webhook.key").read_text().strip()
    assert printed.strip() == public_key(private)
    Signer.of_files([tmp_path / "hospital-webhook.secret", tmp_path / "webhook.key"])
    Ed25519PublicKey.from_public_bytes(base64.b64decode(printed.strip().removeprefix("whpk_")))
