import base64
import json
import os
import time
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_world import secret_file, symmetric

from connectors.plugins.webhook.signatures import SecretsUnusable, Signer, public_key

ID, BODY = "msg_1", b'{"n":1,"name":"\xc3\x86sop"}'


def asymmetric(*, with_public_key: bool = False) -> str:
    private = Ed25519PrivateKey.generate()
    raw = private.private_bytes_raw() + (private.public_key().public_bytes_raw() if with_public_key else b"")
    return "whsk_" + base64.b64encode(raw).decode()


def headers(signer: Signer, at: int) -> dict[str, str]:
    return {
        "webhook-id": ID,
        "webhook-timestamp": str(at),
        "webhook-signature": signer.signature(ID, at, BODY),
    }


def test_the_standard_verifier_accepts_a_signature() -> None:
    secret = symmetric()
    assert Webhook(secret).verify(BODY, headers(Signer([secret]), int(time.time()))) == json.loads(BODY)


@pytest.mark.parametrize("tampered", ["body", "id", "time", "signature", "secret"])
def test_the_standard_verifier_refuses_what_was_tampered_with(tampered: str) -> None:
    secret, now = symmetric(), int(time.time())
    sent, body = headers(Signer([secret]), now), BODY
    if tampered == "body":
        body = BODY.replace(b"1", b"2")
    elif tampered == "id":
        sent["webhook-id"] = "msg_2"
    elif tampered == "time":
        sent["webhook-timestamp"] = str(now + 1)
    elif tampered == "signature":
        sent["webhook-signature"] = "v1," + base64.b64encode(bytes(32)).decode()
    else:
        secret = symmetric()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, sent)


def test_the_standard_verifier_refuses_what_is_older_than_five_minutes() -> None:
    secret = symmetric()
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(BODY, headers(Signer([secret]), int(time.time()) - 301))


@pytest.mark.parametrize("with_public_key", [False, True])
def test_ed25519_accepts_a_v1a_signature_and_refuses_what_was_tampered_with(*, with_public_key: bool) -> None:
    secret = asymmetric(with_public_key=with_public_key)
    version, _, signature = Signer([secret]).signature(ID, 17, BODY).partition(",")
    assert version == "v1a"
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key(secret).removeprefix("whpk_")))
    raw = base64.b64decode(signature)
    public.verify(raw, b"msg_1.17." + BODY)
    for signed in (b"msg_2.17." + BODY, b"msg_1.18." + BODY, b"msg_1.17." + BODY + b" "):
        with pytest.raises(InvalidSignature):
            public.verify(raw, signed)


def test_during_a_rotation_receivers_of_each_secret_accept() -> None:
    old, new, key = symmetric(), symmetric(), asymmetric()
    sent = headers(Signer([new, key, old]), int(time.time()))
    assert [part.partition(",")[0] for part in sent["webhook-signature"].split(" ")] == ["v1", "v1a", "v1"]
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, sent) == json.loads(BODY)


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ("whsec_" + base64.b64encode(os.urandom(23)).decode(), "24 to 64 bytes, this one 23"),
        ("whsec_" + base64.b64encode(os.urandom(65)).decode(), "24 to 64 bytes, this one 65"),
        ("whsec_???", "not base64"),
        ("whsk_" + base64.b64encode(os.urandom(31)).decode(), "32 bytes, or 64"),
        ("whsk_" + base64.b64encode(os.urandom(64)).decode(), "is not its public key"),
        ("geheim", "neither a whsec_ secret nor a whsk_ key"),
        ("geh\N{LATIN SMALL LETTER E WITH ACUTE}im", "neither a whsec_ secret nor a whsk_ key"),
    ],
    ids=["short", "long", "not-base64", "short-key", "other-key", "no-prefix", "not-ascii"],
)
def test_a_secret_that_cannot_be_used_is_told_without_being_shown(tmp_path: Path, held: str, reason: str) -> None:
    file = secret_file(tmp_path, secret=held)
    with pytest.raises(SecretsUnusable) as refused:
        Signer.of_files([file])
    assert reason in str(refused.value)
    assert str(file) in str(refused.value)
    assert held not in str(refused.value)


def test_every_file_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SecretsUnusable) as refused:
        Signer.of_files([tmp_path / "absent", secret_file(tmp_path), secret_file(tmp_path, "bad", "bad")])
    assert "absent: No such file" in str(refused.value)
    assert "bad: it holds neither" in str(refused.value)
