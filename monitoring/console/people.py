"""The people of a local bus's console: one of each role, with passwords made at random."""

import dataclasses
import secrets
from pathlib import Path
from typing import Any, Final

import yaml

from lintas.credentials import write_private
from lintas.settings import Settings

FILE: Final = "console-people.yaml"
NOTE: Final = "# Who may log in at the console of this local bus; made by the console, read when it starts.\n"
# Nobody's names: what they are on the bus.
DEMO: Final[dict[str, dict[str, Any]]] = {
    "viewer": {"name": "Demo viewer", "roles": ["viewer"]},
    "steward-dukcapil": {"name": "Demo steward of dukcapil", "roles": ["steward"], "agency": "dukcapil"},
    "steward-kemenkes": {"name": "Demo steward of kemenkes", "roles": ["steward"], "agency": "kemenkes"},
    "operator": {"name": "Demo operator", "roles": ["operator"]},
    "auditor": {"name": "Demo auditor", "roles": ["auditor"]},
}


@dataclasses.dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody whom the embedded issuer knows."""

    username: str
    password: str = dataclasses.field(repr=False)
    claims: dict[str, Any] = dataclasses.field(default_factory=dict)


def people_file(settings: Settings) -> Path:
    """Where their passwords are."""
    return settings.secrets / FILE


def demo_people(settings: Settings) -> dict[str, DemoPerson]:
    """The people of this bus by user name; the file is made the first time, readable by its owner only."""
    file = people_file(settings)
    if not file.exists():
        made = {username: {"password": secrets.token_urlsafe(12), **claims} for username, claims in DEMO.items()}
        write_private(file, NOTE + yaml.safe_dump(made, sort_keys=False))
    read = yaml.safe_load(file.read_text())
    return {
        username: DemoPerson(
            username, str(entry["password"]), {key: value for key, value in entry.items() if key != "password"}
        )
        for username, entry in read.items()
    }
