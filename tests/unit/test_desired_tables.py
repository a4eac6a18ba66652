from pathlib import Path

import pytest

import schemas
from lintas.settings import Settings
from schemas.compose import compose, numbering
from schemas.desired import Acl, Desired, desired
from schemas.load import load

SYSTEM, CHANGELOG = "bps.vital-statistics", "tables.bps.vital-statistics.counts"


@pytest.fixture(scope="module")
def wanted() -> Desired:
    catalogue, problems = load(Path(schemas.__path__[0]) / "catalogue")
    assert not problems
    return desired(compose(catalogue, numbering()), Settings())


def test_a_table_s_changelog_is_compacted_and_never_deleted(wanted: Desired) -> None:
    config = wanted.topics[CHANGELOG].config
    assert config["cleanup.policy"] == "compact"
    assert "retention.ms" not in config


def test_a_table_s_changelog_has_the_partitions_of_the_inbox(wanted: Desired) -> None:
    assert wanted.topics[CHANGELOG].partitions == wanted.topics[f"inbox.{SYSTEM}"].partitions


def test_a_table_s_changelog_is_its_system_s_alone(wanted: Desired) -> None:
    assert {acl for acl in wanted.acls if acl.name == CHANGELOG} == {
        Acl(SYSTEM, "READ", "TOPIC", CHANGELOG, "LITERAL"),
        Acl(SYSTEM, "WRITE", "TOPIC", CHANGELOG, "LITERAL"),
    }
