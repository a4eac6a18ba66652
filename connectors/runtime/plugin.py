"""A kind of connector that describes itself: help, JSON Schema, validation and reference pages come from here."""

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from connectors.runtime.context import Context
from connectors.runtime.contract import Sink, Source


class Config(BaseModel):
    """Settings of a connector; fields have descriptions, and secrets are never among them but files that hold them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Guarantee(enum.StrEnum):
    """What a connector promises when processes die."""

    EXACTLY_ONCE = "exactly once"
    AT_LEAST_ONCE = "at least once"


@dataclasses.dataclass(frozen=True, slots=True)
class Plugin:
    """One kind of connector.

    Attributes:
        name: as configurations name it: ``postgres-outbox``.
        kind: whether it makes events or takes deliveries.
        summary: one line.
        config: the model of its settings; their descriptions and defaults are its documentation.
        build: makes a connector of valid settings; connects to nothing yet.
        guarantee: what it promises.
        guarantee_because: why, in one sentence, and what it rests on.
        example: settings as a person would write them, YAML; tested.
        check: problems of valid settings together, as (field, message). Files that they name may be on another machine:
            that one is not there is no problem here, and fails the connector when it starts.
        begins_anew: for a sink that keeps its positions with its data: what a person does to have it begin at the
            beginning. Empty: the runtime keeps how far it is, and can forget that.
    """

    name: str
    kind: Literal["source", "sink"]
    summary: str
    config: type[Config]
    build: Callable[[Any, Context], Source | Sink]
    guarantee: Guarantee
    guarantee_because: str
    example: str
    check: Callable[[Any], list[tuple[str, str]]] = lambda _: []
    begins_anew: str = ""
