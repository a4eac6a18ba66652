"""Keys of pseudonyms: one consumer's tokens never match another's, and nobody without the key can make them.

A token is ``p<version>-`` and the first 16 bytes of HMAC-SHA256(consumer's key, value) in hexadecimal. The
consumer's key is HMAC-SHA256(master key of the version, label, system, domain), each part preceded by its length as 4
bytes, big-endian. Rotation: docs/how-to/rotate-pseudonym-keys.md.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol, Self

from lintas.errors import BadSettings, MissingCredentials
from schemas.rules import Pseudonymise

KEY_BYTES: Final = 32
TOKEN_BYTES: Final = 16
_HASH_BLOCK: Final = 64  # of SHA-256, in bytes
_REMEMBERED: Final = 1_000


class KeySource(Protocol):
    """Where master keys come from: files, or a key management system."""

    def key(self, version: int) -> bytes:
        """The master key of a version, 32 bytes. Called once for each agreement when a catalogue comes into force.

        Raises:
            MissingCredentials: there is no such version.
        """


class KeyFiles:
    """Master keys in files ``<version>.key``, hexadecimal, readable by their owner only."""

    def __init__(self, folder: Path) -> None:
        """``folder`` holds the files; see ``create``."""
        self._folder = folder
        self._keys: dict[int, bytes] = {}

    def key(self, version: int) -> bytes:
        """The master key of a version; read once, since a version's key never changes.

        Raises:
            MissingCredentials: there is no such file.
            BadSettings: the file does not hold a key.
        """
        if version not in self._keys:
            path = self._path(version)
            try:
                key = bytes.fromhex(path.read_text())
            except FileNotFoundError:
                raise MissingCredentials(principal=f"pseudonym key {version}", path=path) from None
            except ValueError:
                key = b""
            if len(key) != KEY_BYTES:
                raise BadSettings(
                    name="LINTAS_SECRETS_DIR",
                    reason=f"{path} does not hold {KEY_BYTES} bytes in hexadecimal",
                    remedy="bring the file back from a backup; a new key would change every pseudonym.",
                )
            self._keys[version] = key
        return self._keys[version]

    def create(self, version: int) -> None:
        """Make the key of a version at random unless it exists; of several at the same time, the first one's counts."""
        path = self._path(version)
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123  mode at creation
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)  # never over an existing key, which others may have used already
        draft.unlink()

    def _path(self, version: int) -> Path:
        return self._folder / f"{version}.key"


class _GivenKeys:
    """Master keys given outright."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        self._keys = keys

    def key(self, version: int) -> bytes:
        """The key of a version, or else the first one's."""
        return self._keys.get(version, next(iter(self._keys.values())))


class PseudonymKeys:
    """Derives each consumer's keys from master keys."""

    def __init__(self, source: KeySource) -> None:
        """``source`` gives the master keys."""
        self._source = source

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Keys from the files of a folder."""
        return cls(KeyFiles(folder))

    @classmethod
    def create(cls, folder: Path, version: int = 1) -> Self:
        """Keys from the files of a folder, in which the key of ``version`` is made unless it is there."""
        files = KeyFiles(folder)
        files.create(version)
        return cls(files)

    @classmethod
    def fixed(cls, keys: Mapping[int, bytes]) -> Self:
        """Keys given outright, for tests of agreements; versions that are not given share the first one's."""
        return cls(_GivenKeys(keys))

    def for_consumer(self, system: str, version: int, domain: str | None = None) -> Pseudonymise:
        """The function that makes one consumer's tokens; ``domain`` narrows where they match.

        The same value gives the same token whatever field or event type it stands in.

        Raises:
            MissingCredentials: there is no key of that version.
        """
        return _tokens(self._derive(version, "pseudonym", system, domain or ""), f"p{version}-")

    def partition_key(self, system: str) -> bytes:
        """The key that spreads a consumer's events over its inbox; of version 1 always, or order would break."""
        return self._derive(1, "inbox-partition", system)

    def _derive(self, version: int, *labels: str) -> bytes:
        message = b"".join(struct.pack(">I", len(label.encode())) + label.encode() for label in labels)
        return hmac.digest(self._source.key(version), message, "sha256")


def _tokens(key: bytes, prefix: str) -> Pseudonymise:
    """The function that makes the tokens of one key; the last ones are remembered, since id, key and fields repeat."""
    # HMAC (RFC 2104) with both hashes begun once: a third of the time of a call that begins them anew.
    block = key.ljust(_HASH_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
    remembered: dict[bytes, str] = {}

    def pseudonymise(value: bytes) -> str:
        token = remembered.get(value)
        if token is None:
            if len(remembered) >= _REMEMBERED:
                remembered.clear()
            first, second = inner.copy(), outer.copy()
            first.update(value)
            second.update(first.digest())
            token = remembered[value] = prefix + second.hexdigest()[: 2 * TOKEN_BYTES]
        return token

    return pseudonymise


def inbox_partition(key: bytes, source_key: bytes, partitions: int) -> int:
    """The inbox partition of an event, by its key as published: order per key holds whatever key is released.

    The first 8 bytes of SHA-256(consumer's partition key of 32 bytes, key as published), modulo the partitions.
    """
    return int.from_bytes(hashlib.sha256(key + source_key).digest()[:8], "big") % partitions
