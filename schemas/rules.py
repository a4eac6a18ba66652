"""Release rules: what one field of an event becomes for one consumer.

A rule is a small frozen model with two pure methods: what type the field has once released, and what value. Adding a
rule means adding a class here, its test and a line in the changelog.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_serializer

AvroType = Any  # str | dict | list: an Avro schema as parsed JSON
Pseudonymise = Callable[[bytes], str]


class RuleDoesNotFit(ValueError):
    """A rule cannot release this Avro type; the text says which types it can."""


class CannotRelease(ValueError):
    """A rule cannot release this value; the text names the rule and the reason, never the value.

    Attributes:
        path: the field, or ``envelope.<attribute>``; empty where only the rule itself is known.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.path = path


class ReleaseRule(BaseModel):
    """What one field becomes for one consumer. Subclasses give ``name``, ``released_type`` and ``released``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: ClassVar[str]

    @model_serializer(mode="plain")
    def as_written(self) -> str | dict[str, Any]:
        """The rule as a steward writes it, settings that have their default left out."""
        settings = {
            field.alias or name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if getattr(self, name) != field.default
        }
        return {self.name: settings} if settings else self.name

    @abstractmethod
    def released_type(self, avro_type: AvroType) -> AvroType:
        """The Avro type of the released field.

        ``avro_type`` is never a union: the caller takes nullable apart and puts it together again.

        Raises:
            RuleDoesNotFit: the rule cannot be used on this type.
        """

    @abstractmethod
    def released(self, value: Any, pseudonymise: Pseudonymise) -> Any:
        """The released value of a value that is not null, both as fastavro has them.

        Raises:
            CannotRelease: the value cannot be released under this rule.
        """
