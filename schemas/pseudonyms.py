"""Keys of pseudonyms: one consumer's tokens never match another's, and nobody without the key can make them."""

import base64
import hmac
import secrets
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol, Self

from lintas.credentials import write_private
from lintas.errors import MissingCredentials
from schemas.rules import Pseudonymise

KEY_BYTES: Final = 32
TOKEN_BYTES: Final = 16


class KeySource(Protocol):
    """Where master keys come from: files, or a key management system."""

    def key(self, version: int) -> bytes:
        """The master key of a version, 32 bytes.

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
        """The master key of a version."""
        if version not in self._keys:
            path = self._folder / f"{version}.key"
            try:
                self._keys[version] = bytes.fromhex(path.read_text().strip())
            except FileNotFoundError:
                raise MissingCredentials(principal=f"pseudonym key {version}", path=path) from None
        return self._keys[version]

    def create(self, version: int) -> None:
        """Make the key of a version at random unless it exists."""
        path = self._folder / f"{version}.key"
        if not path.exists():
            write_private(path, secrets.token_hex(KEY_BYTES) + "\n")


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
    def fixed(cls, keys: Mapping[int, bytes]) -> Self:
        """Keys given outright, for tests of agreements."""
        source = KeyFiles(Path())
        source._keys.update(keys)
        return cls(source)

    def for_consumer(self, system: str, version: int, domain: str | None = None) -> Pseudonymise:
        """The function that makes one consumer's tokens; ``domain`` narrows where they match.

        The same value gives the same token whatever field or event type it stands in.
        """
        key = self._derive(version, "pseudonym", system, domain or "")

        def pseudonymise(value: bytes) -> str:
            token = hmac.digest(key, value, "sha256")[:TOKEN_BYTES]
            return f"p{version}-{base64.b32encode(token).decode().rstrip('=').lower()}"

        return pseudonymise

    def partition_key(self, system: str) -> bytes:
        """The key that spreads a consumer's events over its inbox; of version 1 always, or order would break."""
        return self._derive(1, "inbox-partition", system)

    def _derive(self, version: int, *labels: str) -> bytes:
        message = b"".join(struct.pack(">I", len(label.encode())) + label.encode() for label in labels)
        return hmac.digest(self._source.key(version), message, "sha256")


def inbox_partition(key: bytes, source_key: bytes, partitions: int) -> int:
    """The inbox partition of an event, by its key as published: order per key holds whatever key is released."""
    return int.from_bytes(hmac.digest(key, source_key, "sha256")[:8], "big") % partitions
