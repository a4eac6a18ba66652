"""The Java parts of the bus: pinned by checksum, fetched once into a cache that all buses of a user share."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lintas.errors import DownloadRefused, LocalBusError

LOCK_FILE = Path(__file__).with_name("artefacts.lock.json")
PARALLEL_DOWNLOADS = 8

# called with file name and size; the context manager yields a function that takes the bytes of each advance
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file that Maven coordinates name: ``group:artifact:version[:classifier:type]`` and its sha256."""

    coordinates: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies in the cache: the layout of a Maven repository."""
        group, name, version, classifier, kind = self.fields
        file = f"{name}-{version}{'-' if classifier else ''}{classifier}.{kind}"
        return Path("maven", *group.split("."), name, version, file)

    @property
    def fields(self) -> tuple[str, str, str, str, str]:
        """Group, artifact, version, classifier (may be empty) and type."""
        group, name, version, *rest = self.coordinates.split(":")
        classifier, kind = rest or ("", "jar")
        return group, name, version, classifier, kind


class Fetcher(Protocol):
    """Brings one artefact."""

    def __call__(self, artefact: Artefact, folder: Path, progress: Progress | None) -> Path:
        """Download into ``folder`` and return the file; called from several threads. Any error is final."""


def locked(part: str) -> list[Artefact]:
    """The artefacts of a part, from the lock file."""
    lock = json.loads(LOCK_FILE.read_text())
    return [Artefact(coordinates, sha256) for coordinates, sha256 in lock[part].items()]


def default_cache() -> Path:
    """The folder that all buses of this user share (``LINTAS_CACHE``, else ``~/.cache/lintas``)."""
    return Path(os.environ.get("LINTAS_CACHE") or Path.home() / ".cache" / "lintas").expanduser().resolve()


def fetch_with_jgo(artefact: Artefact, folder: Path, progress: Progress | None) -> Path:
    """Download from a Maven repository: Central, or the mirrors that jgo's own settings file names."""
    from jgo.config import GlobalSettings  # noqa: PLC0415  slow to import and needed only once
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415  as above

    context = MavenContext(
        resolver=PythonResolver(progress_callback=progress),
        repo_cache=folder,
        remote_repos=GlobalSettings.load().repositories or None,
        timeout=60,
    )
    group, name, version, classifier, kind = artefact.fields
    return Path(context.project(group, name).at_version(version).artifact(classifier, kind).resolve())


class Cache:
    """Verified artefacts on disk.

    A file is hashed when it arrives and whenever its size or time of change differs from what was noted then;
    a file that does not match is thrown away and fetched anew.
    """

    def __init__(self, folder: Path | None = None, fetcher: Fetcher = fetch_with_jgo) -> None:
        self.folder = folder or default_cache()
        self._fetcher = fetcher
        self._notes = _Notes(self.folder / "verified.json")

    def missing(self, artefacts: Iterable[Artefact], *, thorough: bool = False) -> list[Artefact]:
        """The artefacts that are not in the cache or not what they should be.

        Args:
            artefacts: what to look for.
            thorough: hash every file, also those that look untouched.
        """
        return [artefact for artefact in artefacts if not self._sound(artefact, thorough=thorough)]

    def ensure(self, artefacts: Iterable[Artefact], progress: Progress | None = None) -> list[Path]:
        """Return the artefacts' files in the given order, fetching what is missing or damaged.

        Raises:
            DownloadRefused: what was fetched does not match the lock file.
            LocalBusError: it could not be fetched.
        """
        wanted = list(artefacts)
        if self.missing(wanted):
            with self.exclusive(), ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
                list(pool.map(lambda artefact: self._fetch(artefact, progress), self.missing(wanted)))
        return [self.folder / artefact.path for artefact in wanted]

    def unpacked(self, archive: Artefact, progress: Progress | None = None) -> Path:
        """The folder of an unpacked archive, unpacked anew if any of its files was touched."""
        target = self.folder / "unpacked" / f"{archive.path.stem}-{archive.sha256[:16]}"
        notes = _Notes(target.with_suffix(".json"))
        if notes.untouched(target):
            return target
        [source] = self.ensure([archive], progress)
        with self.exclusive():
            if notes.untouched(target):
                return target
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder, tarfile.open(source) as tar:
                if hasattr(tarfile, "data_filter"):  # not before Python 3.11.4: the checksum alone vouches there
                    tar.extraction_filter = tarfile.data_filter
                tar.extractall(Path(folder, "whole"))  # noqa: S202  filtered and pinned
                Path(folder, "whole").rename(target)
            notes.note_all(target)
        return target

    def _sound(self, artefact: Artefact, *, thorough: bool = False) -> bool:
        file = self.folder / artefact.path
        if not file.is_file():
            return False
        if not thorough and self._notes.holds(file, artefact.sha256):
            return True
        if _sha256(file) != artefact.sha256:
            return False
        self._notes.note(file, artefact.sha256)
        return True

    def _fetch(self, artefact: Artefact, progress: Progress | None) -> None:
        target = self.folder / artefact.path
        target.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            where = artefact.coordinates
            try:
                arrived = self._fetcher(artefact, Path(folder), progress)
            except Exception as error:
                raise LocalBusError(
                    reason=f"{where} could not be downloaded ({type(error).__name__}: {str(error)[:200]})",
                    remedy="check the network and proxy settings (HTTPS_PROXY); what has arrived is kept.",
                ) from error
            found = _sha256(arrived)
            if found != artefact.sha256:
                raise DownloadRefused(artefact=artefact.coordinates, expected=artefact.sha256, found=found)
            target.parent.mkdir(parents=True, exist_ok=True)
            arrived.replace(target)
        self._notes.note(target, artefact.sha256)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """One program at a time fills the cache; the others wait and then find everything there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Notes:
    """Size and time of change of files that were found good, so that they need not be read at every start."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._guard = threading.Lock()

    def holds(self, file: Path, sha256: str = "") -> bool:
        return self._read().get(str(file)) == _fingerprint(file, sha256)

    def note(self, file: Path, sha256: str) -> None:
        with self._guard:
            self._write(self._read() | {str(file): _fingerprint(file, sha256)})

    def note_all(self, folder: Path) -> None:
        self._write({str(file): _fingerprint(file) for file in folder.rglob("*") if file.is_file()})

    def untouched(self, folder: Path) -> bool:
        """Whether the folder holds exactly the files that were noted, as they were."""
        noted = self._read()
        return bool(noted) and noted == {str(file): _fingerprint(file) for file in folder.rglob("*") if file.is_file()}

    def _read(self) -> dict[str, list[str | int]]:
        try:
            notes: dict[str, list[str | int]] = json.loads(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return notes

    def _write(self, notes: dict[str, list[str | int]]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(notes))
        draft.replace(self._file)


def _fingerprint(file: Path, sha256: str = "") -> list[str | int]:
    stat = file.stat()
    return [sha256, stat.st_size, stat.st_mtime_ns]


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
