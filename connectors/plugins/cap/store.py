"""Claim check: whole messages kept as files named by their hash, for events that would be too large with them."""

import hashlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MessageStore:
    """A folder that somebody serves at an address. A message that is there already is left alone."""

    def __init__(self, folder: Path, url: str) -> None:
        """``folder`` is made if need be; ``url`` is where others find what is in it."""
        self._folder = folder
        self._url = url.rstrip("/")

    def keep(self, message: bytes) -> dict[str, Any]:
        """Keep a message, on the disk when this returns; the event's ``message`` field.

        Raises:
            OSError: the folder takes no files.
        """
        digest = hashlib.sha256(message).hexdigest()
        name = f"{digest}.xml"
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / name
        if not path.exists():
            half = path.with_suffix(f".{uuid.uuid4().hex}.part")  # others may keep the same message now
            with half.open("wb") as file:
                file.write(message)
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
            _settle(self._folder)
        return {"uri": f"{self._url}/{name}", "sha256": digest, "size_bytes": len(message)}


def _settle(folder: Path) -> None:
    """A file's name is on the disk once its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def without_bulk(alert: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """The payload without polygons and contents of resources, and where the whole of it is. Bounds of areas stay."""
    infos = [
        {
            **info,
            "areas": [{**area, "polygons": []} for area in info["areas"]],
            "resources": [{**resource, "content": None} for resource in info["resources"]],
        }
        for info in alert["infos"]
    ]
    return {**alert, "infos": infos, "message": dict(stored)}
