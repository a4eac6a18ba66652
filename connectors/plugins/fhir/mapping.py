"""What people write: which resources of a bundle become which events, and by which paths."""

from pathlib import Path as FilePath
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from connectors.mapping import EventMapping
from connectors.plugins.fhir.path import BadPath, Path

SATUSEHAT: Final = FilePath(__file__).parent / "satusehat.yaml"


def _path(text: Any) -> Path:
    try:
        return Path(str(text))
    except BadPath as error:
        raise ValueError(str(error)) from None


def _paths(written: Any) -> tuple[Path, ...]:
    return tuple(_path(one) for one in (written if isinstance(written, list) else [written]))


class ResourceMapping(BaseModel):
    """How the resources of one type become events of one type."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    each: str = Field(description="type of the resources: `Encounter`")
    values: dict[str, Annotated[tuple[Path, ...], BeforeValidator(_paths)]] = Field(
        min_length=1,
        description="names for what paths lead to; of a list of paths, the first one that leads to something counts",
    )
    event: EventMapping = Field(
        description="what the event is made of: its columns are the names above, and `entry` the entry's number"
    )


class BundleMapping(BaseModel):
    """What a bundle becomes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resources: list[ResourceMapping] = Field(
        min_length=1, description="each resource becomes an event for every mapping of its type whose `when` holds"
    )


class BadBundleMapping(ValueError):
    """The mapping cannot be used; the message says why."""


def load(file: FilePath) -> BundleMapping:
    """The mapping in a YAML file.

    Raises:
        BadBundleMapping: with every problem.
    """
    try:
        return BundleMapping.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadBundleMapping(f"{file} cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadBundleMapping(f"{file} is not YAML: line {line}: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadBundleMapping(f"{file} is not YAML") from None
    except ValidationError as error:
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)]
        raise BadBundleMapping(f"{file}: {'; '.join(told)}") from None
