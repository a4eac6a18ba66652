import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from lintas.errors import BusUnavailable, RegistryError
from lintas.settings import Settings
from schemas.registry import BACKWARD_TRANSITIVE, Registry

_numbers = itertools.count(1)


@pytest.fixture
def registry(bus: Settings) -> Iterator[Registry]:
    with Registry(bus.registry) as opened:
        yield opened


@pytest.fixture
def subject() -> str:
    return f"registry-test.{next(_numbers)}-value"


def schema(*more: str) -> dict[str, Any]:
    fields = [{"name": name, "type": "string"} for name in ("a", *more)]
    return {"type": "record", "name": "R", "namespace": "registry.test", "lintas.subject": "a", "fields": fields}


def test_a_subject_that_nobody_registered_has_no_versions(registry: Registry, subject: str) -> None:
    assert registry.versions(subject) == []
    assert registry.lookup(subject, schema()) is None


def test_the_same_content_keeps_its_id(registry: Registry, subject: str) -> None:
    first = registry.register(subject, schema())
    registry.register(subject, schema("b"))
    assert registry.register(subject, schema()) == first == registry.lookup(subject, schema())


def test_versions_come_oldest_first_with_our_attributes(registry: Registry, subject: str) -> None:
    ids = [registry.register(subject, schema()), registry.register(subject, schema("b"))]
    versions = registry.versions(subject)
    assert [version.id for version in versions] == ids
    assert versions[0].schema == schema() == registry.schema(ids[0])


def test_the_registry_itself_holds_a_subject_to_its_compatibility(registry: Registry, subject: str) -> None:
    registry.register(subject, schema())
    registry.set_compatibility(subject, BACKWARD_TRANSITIVE)
    with pytest.raises(RegistryError, match="ncompatible"):
        registry.register(subject, schema("b"))


def test_a_schema_that_is_none_is_refused(registry: Registry, subject: str) -> None:
    with pytest.raises(RegistryError, match="HTTP 422"):
        registry.register(subject, {"type": "nonsense"})


def test_an_id_that_was_never_given_is_refused(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="HTTP 404"):
        registry.schema(999_999)


def test_the_schemas_of_a_deleted_subject_stay_readable_by_id(registry: Registry, subject: str) -> None:
    schema_id = registry.register(subject, schema())
    registry.delete_subject(subject)
    registry.delete_subject(subject)
    assert registry.lookup(subject, schema()) is None
    assert registry.schema(schema_id) == schema()
    assert registry.register(subject, schema()) == schema_id


def test_a_registry_that_is_not_there_is_unavailable() -> None:
    with Registry("http://127.0.0.1:9", timeout=1) as nobody, pytest.raises(BusUnavailable, match=r"127\.0\.0\.1:9"):
        nobody.subjects()
