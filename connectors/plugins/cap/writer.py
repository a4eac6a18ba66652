"""The payload of an alert as a CAP message again: for consumers whose other systems read CAP."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element as XmlElement
from xml.etree.ElementTree import SubElement, indent, tostring

from connectors.plugins.cap import values
from connectors.plugins.cap.grammar import ALERT, CAP_1_2, NAMESPACES, Element, Kind

_NAMESPACE_OF: Final = {version: namespace for namespace, version in NAMESPACES.items()}
_TEXTS: Final[Mapping[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: str,
    Kind.NAME: str,
    Kind.WORD: str,
    Kind.MOMENT: values.written_moment,
    Kind.COUNT: str,
    Kind.MEASURE: values.written_measure,
    Kind.POLYGON: values.written_polygon,
    Kind.CIRCLE: values.written_circle,
    Kind.REFERENCES: values.written_references,
}


def write(alert: Mapping[str, Any]) -> bytes:
    """The message of a payload, natural JSON or Python values, as UTF-8.

    Every element that `parse` read comes back with the same text, in the version that it came in. What an agreement did
    not release is left out (without its version it is 1.2, without their offsets moments are UTC's); so is a signature,
    which would not hold for a message written anew.
    """
    namespace = _NAMESPACE_OF[alert.get("cap_version", CAP_1_2)]
    root = XmlElement("alert", xmlns=namespace)
    _fill(root, alert, ALERT)
    indent(root)
    xml: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return xml


def _fill(parent: XmlElement, group: Mapping[str, Any], parts: tuple[Element, ...]) -> None:
    for part in parts:
        for value in _values(group.get(part.field), part):
            element = SubElement(parent, part.name)
            if part.kind is Kind.GROUP:
                _fill(element, value, part.parts)
            else:
                element.text = _TEXTS[part.kind](value)


def _values(found: Any, part: Element) -> Iterator[Any]:
    if found is not None:
        yield from found if part.many else (found,)
