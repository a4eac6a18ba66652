"""The folder of one local bus: where each of its files lives."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from lintas.errors import LocalBusError
from lintas.settings import LOCAL_BUS_FILE

_UNUSABLE = frozenset(',;:"\\\n')


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one local bus; data, logs, secrets and configuration below it are the owner's alone."""

    path: Path

    @classmethod
    def of(cls, path: Path) -> "Home":
        """The home at ``path``, made absolute.

        Raises:
            LocalBusError: the path holds characters that Kafka's or Java's lists of paths cannot carry.
        """
        absolute = path.expanduser().resolve()
        unusable = "".join(sorted(_UNUSABLE & set(str(absolute))))
        if unusable:
            raise LocalBusError(
                reason=f"{absolute} holds characters that Java's path lists cannot carry: {unusable!r}",
                remedy="choose a folder without them (LINTAS_HOME).",
            )
        return cls(absolute)

    @property
    def addresses(self) -> Path:
        """What ``lintas.settings`` reads while the bus runs."""
        return self.path / LOCAL_BUS_FILE

    @property
    def state(self) -> Path:
        """What the supervisor runs, for ``status``, ``down`` and the next ``up``."""
        return self.path / "supervisor.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.path / "supervisor.lock"

    @property
    def ports(self) -> Path:
        """The ports chosen, kept from one start to the next."""
        return self.path / "ports.json"

    @property
    def targets(self) -> Path:
        """Where the bus's programs serve metrics, for a Prometheus."""
        return self.path / "prometheus-targets.json"

    @property
    def secrets(self) -> Path:
        """Secrets of the parts themselves; credentials of principals are ``Settings.secrets``."""
        return self.folder("secrets")

    @property
    def temporary(self) -> Path:
        """Temporary files of the servers, emptied at each start."""
        return self.folder("tmp")

    def make(self) -> None:
        """Create the folder.

        Raises:
            LocalBusError: it cannot be created or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise LocalBusError(
                reason=f"{self.path} cannot be written ({error.strerror})",
                remedy="choose a folder of your own (LINTAS_HOME).",
            ) from None

    def log(self, part: str) -> Path:
        """The log file of a part."""
        return self.folder("logs") / f"{part}.log"

    def data(self, part: str) -> Path:
        """The data folder of a part."""
        return self.folder("data", part)

    def config(self, part: str) -> Path:
        """The folder of a part's generated configuration, written anew at each start."""
        return self.folder("config", part)

    def folder(self, *names: str) -> Path:
        """A folder below the home that only its owner can enter."""
        folder = self.path.joinpath(*names)
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder
