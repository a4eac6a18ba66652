import io
import json
import os
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from lintas.errors import DownloadRefused, LocalBusError
from lintas.local.artefacts import LOCK_FILE, Artefact, Cache, Progress, locked

GOOD = b"the pinned bytes"
JAR = Artefact("org.example:thing:1.0", sha256(GOOD).hexdigest())


class FakeRepository:
    """Serves one content for everything and counts how often it was asked."""

    def __init__(self, content: bytes = GOOD) -> None:
        self.content = content
        self.asked = 0

    def __call__(self, artefact: Artefact, folder: Path, progress: Progress | None) -> Path:
        del progress
        self.asked += 1
        file = folder / artefact.path.name
        file.write_bytes(self.content)
        return file


def test_an_artefact_is_fetched_once_and_then_found_without_network(tmp_path: Path) -> None:
    repository = FakeRepository()
    [file] = Cache(tmp_path, repository).ensure([JAR])
    assert file == tmp_path / "maven/org/example/thing/1.0/thing-1.0.jar"
    assert file.read_bytes() == GOOD
    assert Cache(tmp_path, repository).ensure([JAR]) == [file]
    assert repository.asked == 1


def test_a_download_that_does_not_match_is_refused_and_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, FakeRepository(b"other bytes"))
    with pytest.raises(DownloadRefused, match=r"org\.example:thing:1\.0 does not match") as refused:
        cache.ensure([JAR])
    assert refused.value.details["expected"] == JAR.sha256
    assert not (tmp_path / JAR.path).exists()


@pytest.mark.parametrize("damaged", [b"", GOOD[:-1], b"THE PINNED BYTES"])
def test_a_file_that_changed_on_disk_is_fetched_anew(tmp_path: Path, damaged: bytes) -> None:
    repository = FakeRepository()
    cache = Cache(tmp_path, repository)
    [file] = cache.ensure([JAR])
    file.write_bytes(damaged)
    assert cache.missing([JAR]) == [JAR]
    assert cache.ensure([JAR])[0].read_bytes() == GOOD
    assert repository.asked == 2


def test_a_file_that_was_only_touched_is_hashed_and_kept(tmp_path: Path) -> None:
    repository = FakeRepository()
    cache = Cache(tmp_path, repository)
    [file] = cache.ensure([JAR])
    os.utime(file, (1, 1))
    cache.ensure([JAR])
    assert repository.asked == 1


def test_a_change_behind_an_untouched_time_is_seen_by_a_thorough_look(tmp_path: Path) -> None:
    cache = Cache(tmp_path, FakeRepository())
    [file] = cache.ensure([JAR])
    before = file.stat()
    file.write_bytes(GOOD.upper())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache.missing([JAR]) == []
    assert cache.missing([JAR], thorough=True) == [JAR]


def test_a_failed_download_names_the_artefact_and_what_to_do(tmp_path: Path) -> None:
    def unreachable(artefact: Artefact, folder: Path, progress: Progress | None) -> Path:
        del artefact, folder, progress
        raise ConnectionError("no route")

    with pytest.raises(LocalBusError, match=r"thing:1\.0 could not be downloaded .*no route(.|\n)*proxy"):
        Cache(tmp_path, unreachable).ensure([JAR])


def test_an_archive_is_unpacked_once_and_anew_when_one_of_its_files_changes(tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo("lib/a.jar")
        member.size = len(GOOD)
        tar.addfile(member, io.BytesIO(GOOD))
    archive = Artefact("org.example:app:1.0:all:tar.gz", sha256(content.getvalue()).hexdigest())
    repository = FakeRepository(content.getvalue())
    cache = Cache(tmp_path, repository)

    jar = cache.unpacked(archive) / "lib" / "a.jar"
    first = jar.stat().st_ino
    cache.unpacked(archive)
    assert jar.stat().st_ino == first

    jar.write_bytes(b"changed")
    assert (cache.unpacked(archive) / "lib" / "a.jar").read_bytes() == GOOD
    assert repository.asked == 1


def test_the_lock_file_pins_every_artefact_by_checksum_and_names_no_host() -> None:
    text = LOCK_FILE.read_text()
    assert "://" not in text
    parts = json.loads(text)
    assert set(parts) == {"kafka", "registry"}
    for part in parts:
        for artefact in locked(part):
            assert len(bytes.fromhex(artefact.sha256)) == 32
            assert len(artefact.coordinates.split(":")) in {3, 5}
