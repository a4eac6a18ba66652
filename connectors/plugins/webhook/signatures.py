"""Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 (``v1``) and Ed25519 (``v1a``), by every secret that is given."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SYMMETRIC, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"
_SHORTEST, _LONGEST = 24, 64  # bytes of a symmetric secret
_SEED: Final = 32  # bytes of an Ed25519 private key; 64 with its public key behind it

Sign = Callable[[bytes], str]


class SecretsUnusable(Exception):
    """Files of secrets that cannot be used; says which and why, never what they hold."""

    def __init__(self, problems: Sequence[str]) -> None:
        """``problems`` name the file and what is wrong."""
        super().__init__("; ".join(problems))


class Signer:
    """Signs with several secrets at once, so that receivers may change from one to the next without a gap."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """``secrets`` are in the written form: ``whsec_`` or ``whsk_`` and base64.

        Raises:
            ValueError: one is not.
        """
        self._signs = [_reader(secret) for secret in secrets]

    @classmethod
    def of_files(cls, files: Sequence[Path]) -> Self:
        """Read one secret from each file.

        Raises:
            SecretsUnusable: with every problem.
        """
        problems, secrets = [], []
        for file in files:
            try:
                secret = file.read_text(encoding="ascii").strip()
                _reader(secret)
                secrets.append(secret)
            except (OSError, ValueError) as error:  # UnicodeDecodeError is a ValueError
                problems.append(f"{file}: {_plain(error)}")
        if problems:
            raise SecretsUnusable(problems)
        return cls(secrets)

    def signature(self, webhook_id: str, timestamp: int, body: bytes) -> str:
        """The ``webhook-signature`` header: one signature a secret, separated by spaces.

        Args:
            webhook_id: of the message; holds no full stop.
            timestamp: of the attempt, Unix seconds.
            body: as it is sent.
        """
        signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp, body)
        return " ".join(sign(signed) for sign in self._signs)


def public_key(secret: str) -> str:
    """The ``whpk_`` form of the public key that belongs to a ``whsk_`` secret: what receivers are given."""
    raw = _ed25519(secret).public_key().public_bytes_raw()
    return _PUBLIC + base64.b64encode(raw).decode()


def _reader(secret: str) -> Sign:
    if secret.startswith(_SYMMETRIC):
        key = _decoded(secret.removeprefix(_SYMMETRIC))
        if not _SHORTEST <= len(key) <= _LONGEST:
            raise ValueError(f"a whsec_ secret has {_SHORTEST} to {_LONGEST} bytes, this one {len(key)}")
        return lambda signed: "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    if secret.startswith(_PRIVATE):
        private = _ed25519(secret)
        return lambda signed: "v1a," + base64.b64encode(private.sign(signed)).decode()
    raise ValueError("it holds neither a whsec_ secret nor a whsk_ key")


def _ed25519(secret: str) -> Ed25519PrivateKey:
    key = _decoded(secret.removeprefix(_PRIVATE))
    if len(key) not in (_SEED, 2 * _SEED):
        raise ValueError(f"a whsk_ key has {_SEED} bytes, or {2 * _SEED} with its public key, this one {len(key)}")
    private = Ed25519PrivateKey.from_private_bytes(key[:_SEED])
    if key[_SEED:] not in (b"", private.public_key().public_bytes_raw()):
        raise ValueError("the second half of the whsk_ key is not its public key")
    return private


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("what follows the prefix is not base64") from None


def _plain(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it holds neither a whsec_ secret nor a whsk_ key"  # its own words would quote the secret
    return getattr(error, "strerror", None) or str(error)
