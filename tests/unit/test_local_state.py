import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lintas.errors import BusAlreadyRunning, LocalBusError
from lintas.local import state
from lintas.local.home import Home

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
SLEEP_WITH_CHILD = (
    sys.executable,
    "-c",
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)",  # noqa: E501  one argument
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.of(tmp_path)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP, start_new_session=True) as process:
        yield process
        process.kill()


def written(home: Home, *identities: state.Identity) -> None:
    gone = state.Identity(pid=2**22 - 1, created=0, argv=("gone",))
    parts = [
        state.PartState(name=f"p{number}", phase="running", process=identity, log=home.path / "log")
        for number, identity in enumerate(identities)
    ]
    state.BusState(supervisor=gone, phase="running", parts=parts).write(home)


def test_what_a_killed_supervisor_left_is_ended_with_all_its_children(home: Home) -> None:
    with subprocess.Popen(SLEEP_WITH_CHILD, start_new_session=True) as process:
        leader = psutil.Process(process.pid)
        while not leader.children():
            assert process.poll() is None
        [child] = leader.children()
        written(home, state.Identity.of(process.pid, SLEEP_WITH_CHILD))
        home.addresses.write_text("{}")

        assert state.clean(home) == 2
        assert not child.is_running()
    assert not home.state.exists()
    assert not home.addresses.exists()


@pytest.mark.parametrize(
    "difference",
    [
        {"created": 1.0},  # an earlier process of the same number
        {"argv": ("java", "@elsewhere")},  # a process that is not what we started
    ],
)
def test_a_process_that_only_has_the_number_of_ours_is_left_alone(
    home: Home, sleeper: subprocess.Popen[bytes], difference: dict[str, object]
) -> None:
    written(home, state.Identity.of(sleeper.pid, SLEEP).model_copy(update=difference))
    assert state.clean(home) == 0
    assert sleeper.poll() is None


def test_a_home_has_one_owner_at_a_time(home: Home) -> None:
    with state.ownership(home):
        assert state.is_owned(home)
        with pytest.raises(BusAlreadyRunning), state.ownership(home):
            pass
    assert not state.is_owned(home)


def test_a_damaged_state_file_counts_as_none(home: Home) -> None:
    home.state.write_text("{")
    assert state.read(home) is None
    assert state.clean(home) == 0


def test_the_state_is_readable_by_its_owner_only(home: Home) -> None:
    written(home)
    assert home.state.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["a,b", "a:b", 'a"b', "a;b"])
def test_a_home_that_java_cannot_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LocalBusError, match="LINTAS_HOME"):
        Home.of(tmp_path / name)


def test_folders_of_a_home_are_open_to_their_owner_only(home: Home) -> None:
    for folder in (
        home.secrets,
        home.log("kafka").parent,
        home.data("kafka"),
        home.config("kafka"),
        home.temporary,
    ):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_written_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalBusError, match="LINTAS_HOME"):
        Home.of(tmp_path / "file" / "home").make()
