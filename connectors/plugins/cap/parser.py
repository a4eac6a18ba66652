"""A CAP message as the payload of an event, or everything that is wrong with it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from lintas_client import Problem

from connectors.intake.message import MalformedMessage
from connectors.plugins.cap import safe_xml, values
from connectors.plugins.cap.grammar import ALERT, CAP_1_2, NAMESPACES, SIGNATURE, Element, Kind
from connectors.plugins.cap.safe_xml import Node

_NOT_ELEMENTS: Final = (
    "http://www.w3.org/2001/XMLSchema-instance",  # xsi:schemaLocation, which many senders add
    "http://www.w3.org/XML/1998/namespace",
)
_MOST_PROBLEMS: Final = 100  # nobody reads more


def parse(xml: bytes) -> dict[str, Any]:
    """The payload of one message: natural JSON for ``alert.issued``, see its schema in the catalogue.

    Raises:
        MalformedMessage: with every problem: the element's path (``alert.info[1].area[0].polygon[2]``), the rule that
            it breaks, and why; never what stands there.
    """
    try:
        root = safe_xml.read(xml)
    except safe_xml.UnsafeXml as error:
        raise MalformedMessage([error.problem]) from None
    version = NAMESPACES.get(root.namespace)
    if root.name != "alert" or version is None:
        message = f"must be an alert of CAP 1.1 or 1.2, in the namespace {' or '.join(NAMESPACES)}"
        raise MalformedMessage([Problem(root.name if root.name == "alert" else "", "not-cap", message)])
    reading = _Reading(root.namespace, version)
    alert = reading.group(root, ALERT, "alert")
    alert["cap_version"] = version
    alert["signed"] = any(child.namespace == SIGNATURE for child in root.children)
    alert["message"] = None
    reading.check_conditions(alert)
    if reading.problems:
        raise MalformedMessage(reading.problems[:_MOST_PROBLEMS])
    return alert


class _Reading:
    """One pass over a message."""

    def __init__(self, namespace: str, version: str) -> None:
        self.problems: list[Problem] = []
        self._namespace = namespace
        self._version = version
        strict = version == CAP_1_2
        self._values: Mapping[Kind, Callable[[str], Any]] = {
            Kind.TEXT: str,
            Kind.NAME: values.name,
            Kind.MOMENT: lambda text: values.moment(text, strict=strict),
            Kind.COUNT: values.count,
            Kind.MEASURE: values.measure,
            Kind.POLYGON: values.polygon,
            Kind.CIRCLE: values.circle,
            Kind.REFERENCES: lambda text: values.references(text, strict=strict),
        }

    def group(self, node: Node, parts: tuple[Element, ...], path: str) -> dict[str, Any]:
        """The fields of an element that holds elements."""
        self._check_attributes(node, path)
        if node.text.strip():
            self._report(path, "text", "holds text between its elements")
        by_name: dict[str, list[Node]] = {}
        place = {part.name: at for at, part in enumerate(parts)}
        last = -1
        for child in node.children:
            if child.namespace == SIGNATURE and parts is ALERT:
                continue
            if child.namespace != self._namespace or child.name not in place:
                self._report(
                    f"{path}.{child.name}", "unknown-element", f"is no element of {_last(path)} in this version"
                )
                continue
            if place[child.name] < last:
                self._report(f"{path}.{child.name}", "order", f"must stand before {parts[last].name}")
            last = max(last, place[child.name])
            by_name.setdefault(child.name, []).append(child)
        made = {part.field: self._field(by_name.get(part.name, []), part, path) for part in parts}
        if "areas" in made or "polygons" not in made:
            return made
        return {**made, "bounds": values.bounds(_read(made["polygons"]), _read(made["circles"]))}

    def _field(self, found: list[Node], part: Element, path: str) -> Any:
        if not found and part.is_required(self._version):
            self._report(f"{path}.{part.name}", "required", "is missing")
        if part.many:
            return [self._value(node, part, f"{path}.{part.name}[{at}]") for at, node in enumerate(found)]
        if len(found) > 1:
            self._report(f"{path}.{part.name}", "once", f"stands {len(found)} times, may stand once")
        return self._value(found[0], part, f"{path}.{part.name}") if found else None

    def _value(self, node: Node, part: Element, path: str) -> Any:
        if part.kind is Kind.GROUP:
            return self.group(node, part.parts, path)
        self._check_attributes(node, path)
        if node.children:
            self._report(path, "elements", "holds elements where only text may be")
            return None
        if part.kind is Kind.WORD:
            if node.text not in part.allowed(self._version):
                self._report(path, "word", f"must be one of {', '.join(part.allowed(self._version))}")
            return node.text
        try:
            return self._values[part.kind](node.text)
        except values.Unreadable as error:
            self._report(path, error.rule, str(error))
            return None

    def _check_attributes(self, node: Node, path: str) -> None:
        for name in node.attributes:
            if name.rpartition("}")[0].removeprefix("{") not in _NOT_ELEMENTS:
                self._report(path, "attribute", "has an attribute; CAP has none")

    def check_conditions(self, alert: Mapping[str, Any]) -> None:
        """What the standard's text demands beyond its schema (sections 3.2.1 and 3.2.4)."""
        if alert["scope"] == "Restricted" and alert["restriction"] is None:
            self._report("alert.restriction", "restriction", "is missing: scope is Restricted")
        if alert["scope"] == "Private" and alert["addresses"] is None:
            self._report("alert.addresses", "addresses", "is missing: scope is Private")
        for at, info in enumerate(alert["infos"]):
            for number, area in enumerate(_read(info["areas"])):
                if area["ceiling"] is not None and area["altitude"] is None:
                    path = f"alert.info[{at}].area[{number}].altitude"
                    self._report(path, "altitude", "is missing: there is a ceiling")

    def _report(self, path: str, rule: str, message: str) -> None:
        self.problems.append(Problem(path, rule, message))


def _last(path: str) -> str:
    return path.rpartition(".")[2].partition("[")[0]


def _read(found: Iterable[Any]) -> list[Any]:
    """Without those that could not be read and have been reported."""
    return [one for one in found if one is not None]
