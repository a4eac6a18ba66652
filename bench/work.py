"""What a peer is told: where to read, where to write, who sees what; a file of JSON between the bench and a program."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self


@dataclasses.dataclass(frozen=True)
class Inbox:
    """One consumer: where its events go, which are its own, what it sees of them.

    Attributes:
        name: of the consumer, for the audit record.
        topic: its inbox.
        region: only events with this ``ce_subject``; None for all.
        least_severity: only events at least so severe; None for all.
        schema: of what it sees; None if it sees events as they are.
        schema_id: the registry's number of that schema.
        pseudonyms: fields that are replaced by tokens.
        key: of its tokens, hexadecimal.
    """

    name: str
    topic: str
    region: str | None
    least_severity: int | None
    schema: Mapping[str, Any] | None
    schema_id: int
    pseudonyms: Sequence[str]
    key: str


@dataclasses.dataclass(frozen=True)
class Work:
    """The work of one peer.

    Attributes:
        bootstrap, username, password: how to reach Kafka (SASL_PLAINTEXT, SCRAM-SHA-512).
        group: the consumer group, whose committed offsets say where to begin and tell how far it is.
        source: the topic of the events.
        audit: the topic of audit records.
        schema: of the events' payload.
        inboxes: the consumers.
        commit_ms: commit at least so often.
    """

    bootstrap: str
    username: str
    password: str
    group: str
    source: str
    audit: str
    schema: Mapping[str, Any]
    inboxes: Sequence[Inbox]
    commit_ms: int

    def write(self, path: Path) -> None:
        """Write it for the program."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what :meth:`write` wrote."""
        content = json.loads(path.read_text())
        return cls(**{**content, "inboxes": [Inbox(**inbox) for inbox in content["inboxes"]]})
