"""What a value must be to be written under a schema; fastavro takes more than it should (FACTS.md)."""

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from .identifiers import problem_of
from .types import Names, logical

Report = Callable[[str, str, str], None]  # path, rule, message

_RANGES: Final = {"int": 1 << 31, "long": 1 << 63}
_LOGICAL_CLASSES: Final[Mapping[str, type]] = {
    "date": dt.date,
    "time-millis": dt.time,
    "time-micros": dt.time,
    "timestamp-millis": dt.datetime,
    "timestamp-micros": dt.datetime,
    "uuid": uuid.UUID,
}
_CLASSES: Final[Mapping[str, tuple[type, ...]]] = {
    "boolean": (bool,),
    "float": (float, int),
    "double": (float, int),
    "bytes": (bytes,),
    "string": (str,),
}


def check(names: Names, node: Any, value: Any, report: Report, *, path: str = "", namespace: str = "") -> None:
    """Report everything that keeps ``value`` from being written as ``node``."""
    resolved = names.resolve(node, namespace)
    if isinstance(resolved, list):
        _check_union(names, resolved, value, report, path, namespace)
    elif resolved["type"] in ("record", "error"):
        _check_record(names, resolved, value, report, path, names.namespace_of(resolved, namespace))
    elif resolved["type"] == "array":
        if not isinstance(value, (list, tuple)):
            report(path, "type", "must be a list")
            return
        for index, item in enumerate(value):
            check(names, resolved["items"], item, report, path=f"{path}[{index}]", namespace=namespace)
    elif resolved["type"] == "map":
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            report(path, "type", "must be a mapping of texts")
            return
        for item in value.values():
            check(names, resolved["values"], item, report, path=f"{path}{{}}", namespace=namespace)
    else:
        _check_scalar(resolved, value, report, path)


def _check_record(names: Names, node: Mapping[str, Any], value: Any, report: Report, path: str, namespace: str) -> None:
    if not isinstance(value, Mapping):
        report(path, "type", "must be a record")
        return
    fields = {field["name"]: field for field in node["fields"]}
    for name in value:
        if name not in fields:
            # The name was chosen by whoever sent it, so it is data: only a plain name is repeated.
            shown = name if isinstance(name, str) and name.isidentifier() and len(name) <= 40 else "a field"  # noqa: PLR2004
            report(_join(path, shown), "unknown-field", "the schema has no such field")
    for name, field in fields.items():
        if name in value:
            check(names, field["type"], value[name], report, path=_join(path, name), namespace=namespace)
        elif "default" not in field:
            report(_join(path, name), "missing-field", "is missing and has no default")


def _check_union(names: Names, branches: list[Any], value: Any, report: Report, path: str, namespace: str) -> None:
    reports: list[list[tuple[str, str, str]]] = []
    for branch in branches:
        found: list[tuple[str, str, str]] = []
        check(
            names,
            branch,
            value,
            lambda *problem, to=found: to.append(problem),
            path=path,
            namespace=namespace,
        )
        if not found:
            return
        if names.resolve(branch, namespace) != {"type": "null"}:
            reports.append(found)
    if not reports:
        report(path, "type", "must be null")
        return
    # The branch that came closest is most likely the one that was meant: its problems lie deepest or are fewest.
    for problem in min(
        reports, key=lambda found: (all(at == path and rule == "type" for at, rule, _ in found), len(found))
    ):
        report(*problem)


def _check_scalar(node: Mapping[str, Any], value: Any, report: Report, path: str) -> None:
    kind, meaning = node["type"], logical(node)
    if meaning == "decimal" and kind in ("bytes", "fixed"):
        _check_decimal(node, value, report, path)
    elif meaning in _LOGICAL_CLASSES and kind in ("int", "long", "string"):
        _check_moment(_LOGICAL_CLASSES[meaning], value, report, path)
    elif kind == "null":
        if value is not None:
            report(path, "type", "must be null")
    elif kind in _RANGES:
        if isinstance(value, bool) or not isinstance(value, int):
            report(path, "type", "must be a whole number")
        elif not -_RANGES[kind] <= value < _RANGES[kind]:
            report(path, "range", f"does not fit an Avro {kind}")
    elif kind == "enum":
        if not isinstance(value, str) or value not in node["symbols"]:
            report(path, "enum", f"must be one of {', '.join(node['symbols'])}")
    elif kind == "fixed":
        if not isinstance(value, bytes) or len(value) != node["size"]:
            report(path, "type", f"must be {node['size']} bytes")
    elif not isinstance(value, _CLASSES[kind]) or (kind in ("float", "double") and isinstance(value, bool)):
        report(path, "type", f"must be an Avro {kind}")
    elif kind == "string":
        _check_text(meaning or "", value, report, path)


def _check_text(identifier: str, value: str, report: Report, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        report(path, "utf-8", "holds characters that UTF-8 cannot carry")
        return
    if (problem := problem_of(identifier, value)) is not None:
        report(path, identifier, problem)


def _check_decimal(node: Mapping[str, Any], value: Any, report: Report, path: str) -> None:
    precision, scale = int(node["precision"]), int(node.get("scale", 0))
    if not isinstance(value, decimal.Decimal) or not value.is_finite():
        report(path, "decimal", "must be a decimal number")
        return
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "finite decimals have a number as exponent"
    if -exponent > scale:
        report(path, "decimal", f"has more than {scale} digits after the point")
    elif len(digits) + exponent + scale > precision:
        report(path, "decimal", f"has more than {precision} digits")


def _check_moment(expected: type, value: Any, report: Report, path: str) -> None:
    if not isinstance(value, expected) or (expected is dt.date and isinstance(value, dt.datetime)):
        report(path, "type", f"must be a {expected.__name__}")
    elif isinstance(value, dt.datetime) and value.tzinfo is None:
        report(path, "type", "must have a time zone")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
