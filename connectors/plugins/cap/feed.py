"""What a feed of alerts lists: RSS 2.0 (BMKG's shape) or Atom (RFC 4287)."""

import dataclasses
from typing import Final

from connectors.plugins.cap import safe_xml
from connectors.plugins.cap.safe_xml import Node

_ATOM: Final = "http://www.w3.org/2005/Atom"
_CAP_TYPE: Final = "application/cap+xml"


class NotAFeed(ValueError):
    """What was fetched is no feed; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One alert that a feed lists.

    Attributes:
        key: what tells it from others and from its own earlier state: guid or id, and when it was published or updated.
        link: where the alert is, as it is written.
    """

    key: str
    link: str


def entries(xml: bytes) -> list[Entry]:
    """The entries of a feed, oldest first as far as the feed says (feeds list the newest first).

    Raises:
        NotAFeed: it is neither RSS nor Atom, or not XML that is read. Entries without a link are passed over.
    """
    try:
        root = safe_xml.read(xml)
    except safe_xml.UnsafeXml as error:
        raise NotAFeed(f"it {error}") from None
    if root.namespace == _ATOM and root.name == "feed":
        found = [_atom(node) for node in root.named("entry")]
    elif root.name == "rss":
        found = [_rss(item) for channel in root.named("channel") for item in channel.named("item")]
    else:
        raise NotAFeed("it is neither RSS nor Atom")
    return [entry for entry in reversed(found) if entry.link]


def _rss(item: Node) -> Entry:
    link = _text(item, "link")
    return Entry(f"{_text(item, 'guid') or link} {_text(item, 'pubDate')}".strip(), link)


def _atom(entry: Node) -> Entry:
    links = [link.attributes for link in entry.named("link") if link.attributes.get("rel", "alternate") == "alternate"]
    chosen = next((link for link in links if link.get("type") == _CAP_TYPE), links[0] if links else {})
    link = chosen.get("href", "").strip()
    return Entry(f"{_text(entry, 'id') or link} {_text(entry, 'updated')}".strip(), link)


def _text(node: Node, name: str) -> str:
    return next((text for child in node.named(name) if (text := child.text.strip())), "")
