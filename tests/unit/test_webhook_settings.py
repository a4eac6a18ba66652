from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from connectors.plugins.webhook.plugin import PLUGIN
from connectors.plugins.webhook.settings import WebhookConfig, problems_on_this_machine
from connectors.runtime.validation import read

LEAST: dict[str, Any] = {"url": "https://r.example/hook", "origin": "bus.example", "secret_files": ["/run/secrets/s"]}


def test_the_example_is_valid_and_says_what_is_least_needed() -> None:
    assert WebhookConfig.model_validate(yaml.safe_load(PLUGIN.example)).model_dump().keys() > LEAST.keys()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "ftp://r.example/hook"}, "begins with https://"),
        ({"url": "https://"}, "begins with https://"),
        ({"url": "https://u:p@r.example/"}, "no user, no password"),
        ({"url": "https://r.example/#x"}, "no fragment"),
        ({"url": "https://r.example/a b"}, "in ASCII"),
        ({"url": "https://r\u00e9.example/"}, "in ASCII"),
        ({"url": "https://r.example:99999/"}, "begins with https://"),
        ({"url": "https://r..example/"}, "begins with https://"),
        ({"callback_listen": "127.0.0.1:65536"}, "port"),
        ({"origin": "https://bus.example"}, "origin"),
        ({"origin": "bus.example\r\nX: y"}, "origin"),
        ({"secret_files": []}, "secret_files"),
        ({"retry_delays_seconds": []}, "retry_delays_seconds"),
        ({"retry_delays_seconds": [float("inf")]}, "retry_delays_seconds"),
        ({"concurrency": 0}, "concurrency"),
        ({"uri": "https://r.example"}, "uri"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        WebhookConfig.model_validate(LEAST | settings)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "field", "told"),
    [
        ({"url": "http://r.example/hook"}, "url", "must be https"),
        ({"url": "HTTP://r.example/hook"}, "url", "must be https"),
        ({"client_key_file": "/k"}, "client_certificate_file", "go together"),
        ({"callback_url": "https://bus.example/permit"}, "callback_url", "go together"),
        (
            {
                "callback_url": "https://bus.example/permit",
                "callback_listen": "127.0.0.1:8089",
                "callback_key_file": "/k",
                "handshake": False,
            },
            "handshake",
            "needs handshake",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_told_by_field(settings: dict[str, Any], field: str, told: str) -> None:
    _, [problem] = read(PLUGIN, LEAST | settings)
    assert problem.path == (field,)
    assert told in problem.message


def test_what_does_not_go_together_is_told_beside_what_is_wrong_or_missing() -> None:
    settings = {"url": "http://x", "bogus": 1, "client_key_file": "/k", "callback_listen": "x", "handshake": False}
    _, found = read(PLUGIN, settings)
    assert {problem.path for problem in found} == {
        ("origin",),
        ("secret_files",),
        ("url",),
        ("bogus",),
        ("client_certificate_file",),
        ("callback_listen",),
        ("callback_url",),
        ("handshake",),
    }


def test_http_may_be_allowed() -> None:
    assert read(PLUGIN, LEAST | {"url": "http://127.0.0.1:8080/hook", "allow_http": True})[1] == []


def test_every_field_with_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short")
    (tmp_path / "two").write_text("two words")
    settings = {
        "secret_files": [str(tmp_path / "absent")],
        "bearer_token_file": str(tmp_path / "two"),
        "callback_url": "https://bus.example/permit",
        "callback_listen": "127.0.0.1:8089",
        "callback_key_file": str(tmp_path / "short"),
        "client_certificate_file": str(tmp_path / "c"),
        "client_key_file": str(tmp_path / "k"),
    }
    found = dict(problems_on_this_machine(WebhookConfig.model_validate(LEAST | settings)))
    assert found.keys() == {"secret_files", "bearer_token_file", "callback_key_file", "client_certificate_file"}
    assert "at least 32 characters" in found["callback_key_file"]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in WebhookConfig.model_fields.values())
