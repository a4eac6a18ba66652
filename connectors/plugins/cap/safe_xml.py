"""XML from outside as a tree of nodes, without anything that can hurt: no DTD, no entities, no depth, no size."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException, DTDForbidden
from defusedxml.ElementTree import DefusedXMLParser
from lintas_client import Problem

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 32  # CAP needs six, an XML signature ten
MAX_ELEMENTS: Final = 100_000


@dataclasses.dataclass(slots=True)
class Node:
    """An element: where it stands, its namespace, its name, what is in it. Comments and instructions are left out."""

    namespace: str
    name: str
    attributes: Mapping[str, str]
    text: str = dataclasses.field(default="", repr=False)  # all text directly in it, as written
    children: "list[Node]" = dataclasses.field(default_factory=list)

    def named(self, name: str) -> "Iterator[Node]":
        """Its children of one name, whatever their namespace."""
        return (child for child in self.children if child.name == name)


class UnsafeXml(ValueError):
    """The text is no XML, or XML that is not read; the message says why and quotes nothing."""

    def __init__(self, rule: str, message: str) -> None:
        self.problem = Problem("", rule, message)
        super().__init__(message)


def read(xml: bytes) -> Node:
    """The root of a document.

    Raises:
        UnsafeXml: it is not well-formed, larger than `MAX_BYTES`, deeper than `MAX_DEPTH`, has more than
            `MAX_ELEMENTS` elements, or declares a document type: entities, external ones too, come with no other.
    """
    if len(xml) > MAX_BYTES:
        raise UnsafeXml("size", f"is larger than {MAX_BYTES} bytes")
    parser: Any = DefusedXMLParser(target=_Tree(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(xml)
        root = parser.close()
    except DTDForbidden:
        raise UnsafeXml("document-type", "declares a document type, which is never read") from None
    except DefusedXmlException:
        raise UnsafeXml("entity", "defines or uses entities, which are never read") from None
    except ParseError as error:
        line, column = error.position
        raise UnsafeXml("well-formed", f"is not well-formed XML, line {line}, column {column + 1}") from None
    except (LookupError, ValueError) as error:
        if isinstance(error, UnsafeXml):
            raise
        raise UnsafeXml("encoding", "is in an encoding that is not known") from None
    assert isinstance(root, Node), "a document that was read to its end has a root"
    return root


class _Tree:
    """Builds nodes as the parser meets elements, and stops it where there are too many."""

    def __init__(self) -> None:
        self._open: list[tuple[Node, list[str]]] = []
        self._root: Node | None = None
        self._count = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._count += 1
        if len(self._open) == MAX_DEPTH:
            raise UnsafeXml("depth", f"is nested more than {MAX_DEPTH} elements deep")
        if self._count > MAX_ELEMENTS:
            raise UnsafeXml("elements", f"has more than {MAX_ELEMENTS} elements")
        namespace, _, name = tag.rpartition("}")
        node = Node(namespace.removeprefix("{"), name, dict(attributes))
        if self._open:
            self._open[-1][0].children.append(node)
        else:
            self._root = node
        self._open.append((node, []))

    def data(self, text: str) -> None:
        if self._open:
            self._open[-1][1].append(text)

    def end(self, _tag: str) -> None:
        node, texts = self._open.pop()
        node.text = "".join(texts)

    def close(self) -> Node | None:
        return self._root
