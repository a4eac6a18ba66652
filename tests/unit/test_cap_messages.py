"""CAP messages: every field comes and goes, what the standard forbids is refused with reasons, attacks are not read."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from message_intake import CATALOGUE

from connectors.intake.message import MalformedMessage
from connectors.plugins.cap.grammar import ALERT, Element, Kind
from connectors.plugins.cap.parser import parse
from connectors.plugins.cap.safe_xml import MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS
from connectors.plugins.cap.writer import write
from schemas.wire import json_data
from schemas.wire.codec import Codec

SCHEMA = json.loads((CATALOGUE / "events" / "id.go.bmkg.alert.issued.v1.avsc").read_text())
CODEC = Codec(SCHEMA)
CAP = "urn:oasis:names:tc:emergency:cap:1.2"
HEAD = "<identifier>a-1</identifier><sender>s@example.id</sender><sent>2026-11-24T13:00:00+07:00</sent>"
KIND = "<status>Actual</status><msgType>Alert</msgType>"
SCOPE = "<scope>Public</scope>"
JUDGED = "<urgency>Immediate</urgency><severity>Minor</severity><certainty>Observed</certainty>"
AREA = "<areaDesc>Kota Bandung</areaDesc>"


def alert(body: str = "", *, head: str = HEAD + KIND + SCOPE, namespace: str = CAP) -> bytes:
    return f'<?xml version="1.0"?><alert xmlns="{namespace}">{head}{body}</alert>'.encode()


def info(body: str = "", start: str = "") -> str:
    return f"<info>{start}<category>Met</category><event>Hujan</event>{JUDGED}{body}</info>"


def area(body: str) -> str:
    return info(f"<area>{AREA}{body}</area>")


def canonical(xml: bytes) -> tuple[Any, ...]:
    """An element tree without what XML leaves open: prefixes, blanks between elements, comments."""

    def of(node: ET.Element) -> tuple[Any, ...]:
        children = list(node)
        return node.tag, "" if children else node.text or "", tuple(map(of, children))

    return of(ET.fromstring(xml))


def over_the_bus(payload: dict[str, Any]) -> Any:
    """What a consumer has of a payload: through Avro, as Python values."""
    return CODEC.decode(CODEC.encode(json_data.from_json(CODEC, payload)))


def rules(xml: bytes) -> list[tuple[str, str]]:
    with pytest.raises(MalformedMessage) as refused:
        parse(xml)
    return [(problem.path, problem.rule) for problem in refused.value.problems]


VALID = ("australia", "canada", "earthquake", "no_optional_fields", "weather")


@pytest.mark.parametrize("name", VALID)
def test_a_real_alert_comes_back_from_the_bus_element_by_element(name: str, public_data: Path) -> None:
    message = (public_data / "cap" / f"{name}.cap").read_bytes()
    assert canonical(write(over_the_bus(parse(message)))) == canonical(message)


def test_the_real_alert_that_is_not_valid_is_refused_with_the_reason(public_data: Path) -> None:
    assert rules((public_data / "cap" / "invalid.cap").read_bytes()) == [("alert.scope", "required")]


def test_no_real_alert_is_left_untried(public_data: Path) -> None:
    assert {path.stem for path in (public_data / "cap").glob("*.cap")} == {*VALID, "invalid"}


# What the standard leaves open, and the values alone would not give back.
SPELLINGS = [
    info("<parameter><valueName>a</valueName><value/></parameter>"),
    info("<headline/>"),
    info("<headline>  two  blanks  </headline>"),
    info("<description>a &lt;b&gt; &amp; c<![CDATA[ <br/> ]]></description>"),
    info("<expires>2026-11-24T15:00:00-00:00</expires>"),
    area("<polygon>-6.10,107.50 -6.1,107.7 -6.30,107.6 -6.10,107.50</polygon>"),
    area("<polygon>\n 1,2 3,4\n 5,6 1,2 </polygon>"),
    area("<polygon>0.00001,0 1,1 1,0 0.00001,0</polygon>"),
    area("<circle>+6,107.50 25</circle><circle>-0.0,107.5 0.0</circle>"),
    area("<altitude>1000</altitude><ceiling> 1500.50 </ceiling>"),
    info("<resource><resourceDesc>map</resourceDesc><mimeType>image/png</mimeType><size>99</size></resource>"),
    "<references/>",
    "<references>s,1,2026-11-24T13:00:00+07:00  s,2,2026-11-24T13:10:00+07:00</references>",
]


@pytest.mark.parametrize("body", SPELLINGS)
def test_every_spelling_comes_back(body: str) -> None:
    head = HEAD + KIND + SCOPE
    assert canonical(write(over_the_bus(parse(alert(body, head=head))))) == canonical(alert(body, head=head))


@pytest.mark.parametrize("as_consumers_have_it", [over_the_bus, dict], ids=["values", "JSON"])
def test_what_was_not_released_is_not_written(as_consumers_have_it: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    body = "<references>s,1,2026-11-24T13:00:00+07:00</references>" + info("<headline>Hujan</headline>")
    whole = as_consumers_have_it(parse(alert(body)))
    released = {
        "identifier": whole["identifier"],
        "sent": {"at": whole["sent"]["at"]},
        "references": {"messages": [{"identifier": "1"}]},
        "infos": [{"headline": one["headline"]} for one in whole["infos"]],
    }
    inner = "<identifier>a-1</identifier><sent>2026-11-24T06:00:00-00:00</sent><references/>"
    expected = f'<alert xmlns="{CAP}">{inner}<info><headline>Hujan</headline></info></alert>'
    assert canonical(write(released)) == canonical(expected.encode())


def test_polygons_that_numbers_give_back_are_not_kept_as_text_too() -> None:
    payload = parse(alert(area("<polygon>-6.84,107.54 -6.84,107.74 -6.97,107.64 -6.84,107.54</polygon>")))
    assert payload["infos"][0]["areas"][0]["polygons"][0]["as_written"] is None


def test_bounds_hold_polygons_and_circles() -> None:
    shapes = "<polygon>-6,107 -7,107 -7,108 -6,107</polygon><circle>-6,110 111</circle>"
    bounds = parse(alert(area(shapes)))["infos"][0]["areas"][0]["bounds"]
    assert bounds == pytest.approx({"south": -7, "west": 107, "north": -5, "east": 111}, abs=0.02)


def test_updates_keep_what_they_refer_to() -> None:
    body = "<references>a@b,1,2026-11-24T13:00:00+07:00 c@d,2,2026-11-24T13:10:00+07:00</references>"
    found = parse(alert(body))["references"]["messages"]
    assert [(one["sender"], one["identifier"], one["sent"]["at"]) for one in found] == [
        ("a@b", "1", "2026-11-24T06:00:00.000Z"),
        ("c@d", "2", "2026-11-24T06:10:00.000Z"),
    ]


@pytest.mark.parametrize(
    ("xml", "problem"),
    [
        (
            alert(head=HEAD.removeprefix("<identifier>a-1</identifier>") + KIND + SCOPE),
            ("alert.identifier", "required"),
        ),
        (alert(head=HEAD.replace("a-1", "a 1") + KIND + SCOPE), ("alert.identifier", "name")),
        (alert(head=HEAD.replace("+07:00", "") + KIND + SCOPE), ("alert.sent", "moment")),
        (alert(head=HEAD.replace("+07:00", "Z") + KIND + SCOPE), ("alert.sent", "moment")),
        (alert(head=HEAD.replace("11-24", "13-24") + KIND + SCOPE), ("alert.sent", "moment")),
        (alert(head=HEAD + KIND.replace("Actual", "actual") + SCOPE), ("alert.status", "word")),
        (alert("<note>a</note><source>b</source>"), ("alert.source", "order")),
        (alert(head=HEAD + KIND + SCOPE + SCOPE), ("alert.scope", "once")),
        (alert(head=HEAD + KIND + "<scope>Restricted</scope>"), ("alert.restriction", "restriction")),
        (alert(head=HEAD + KIND + "<scope>Private</scope>"), ("alert.addresses", "addresses")),
        (alert("<mood>good</mood>"), ("alert.mood", "unknown-element")),
        (alert("stray"), ("alert", "text")),
        (alert("<note>a<b>c</b></note>"), ("alert.note", "elements")),
        (alert('<note lang="id">a</note>'), ("alert.note", "attribute")),
        (alert("<references>a,b</references>"), ("alert.references", "references")),
        (alert(info(start="<language>id</language><language>en</language>")), ("alert.info[0].language", "once")),
        (alert(area("<polygon>1,2 3,4 1,2</polygon>")), ("alert.info[0].area[0].polygon[0]", "polygon")),
        (alert(area("<polygon>1,2 3,4 5,6 7,8</polygon>")), ("alert.info[0].area[0].polygon[0]", "polygon")),
        (alert(area("<polygon>91,2 3,4 5,6 91,2</polygon>")), ("alert.info[0].area[0].polygon[0]", "polygon")),
        (alert(area("<polygon>nan,2 3,4 5,6 nan,2</polygon>")), ("alert.info[0].area[0].polygon[0]", "polygon")),
        (alert(area("<circle>1,2 -1</circle>")), ("alert.info[0].area[0].circle[0]", "circle")),
        (alert(area("<ceiling>1</ceiling>")), ("alert.info[0].area[0].altitude", "altitude")),
        (
            alert(info("<resource><resourceDesc>map</resourceDesc></resource>")),
            ("alert.info[0].resource[0].mimeType", "required"),
        ),
        (
            alert(info("<resource><resourceDesc>m</resourceDesc><mimeType>a/b</mimeType><size>1e3</size></resource>")),
            ("alert.info[0].resource[0].size", "whole-number"),
        ),
        (alert(namespace="http://www.incident.com/cap/1.0"), ("alert", "not-cap")),
        (b"<rss/>", ("", "not-cap")),
        (b"{}", ("", "well-formed")),
        (b"", ("", "well-formed")),
        (alert()[:-3], ("", "well-formed")),
        (b'<?xml version="1.0" encoding="klingon"?><alert/>', ("", "encoding")),
    ],
)
def test_what_the_standard_forbids_is_refused_by_path_and_rule(xml: bytes, problem: tuple[str, str]) -> None:
    assert rules(xml) == [problem]


def test_cap_1_1_takes_what_was_allowed_then_and_not_what_is_new() -> None:
    older = "urn:oasis:names:tc:emergency:cap:1.1"
    body = info("<resource><resourceDesc>map</resourceDesc></resource>")
    head = HEAD.replace("+07:00", ".5Z") + KIND + SCOPE
    assert parse(alert(body, head=head, namespace=older))["infos"][0]["resources"][0]["mime_type"] is None
    new = body.replace("<urgency>", "<responseType>AllClear</responseType><urgency>", 1)
    assert rules(alert(new, namespace=older)) == [("alert.info[0].responseType[0]", "word")]
    assert parse(alert(new.replace("</resourceDesc>", "</resourceDesc><mimeType>a/b</mimeType>")))


def test_all_problems_are_told_at_once_and_none_quotes_the_message() -> None:
    secret = "Bandung-4711"
    head = HEAD.replace("2026-11-24T13:00:00+07:00", secret) + f"<status>{secret}</status>"
    body = area(f"<polygon>{secret}</polygon><circle>{secret}</circle>")
    with pytest.raises(MalformedMessage) as refused:
        parse(alert(body, head=head))
    assert [problem.rule for problem in refused.value.problems] == [
        *("moment", "word", "required", "required"),  # sent, status, msgType, scope
        *("polygon", "circle"),
    ]
    assert secret not in str(refused.value)


LOL = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ATTACKS = {
    "billion laughs": (
        f'<!DOCTYPE alert [<!ENTITY l0 "lol">{LOL}]><alert xmlns="{CAP}"><note>&l9;</note></alert>'.encode(),
        "document-type",
    ),
    "external entity": (
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert xmlns="{CAP}"><note>&x;</note></alert>'.encode(),
        "document-type",
    ),
    "external document type": (b'<!DOCTYPE alert SYSTEM "http://127.0.0.1:1/a.dtd"><alert/>', "document-type"),
    "parameter entity": (b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;]><alert/>', "document-type"),
    "undefined entity": (alert("<note>&x;</note>"), "well-formed"),
    "huge nesting": (alert("<note>" * 100_000 + "</note>" * 100_000), "depth"),
    "nesting in a signature": (
        alert('<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">' + "<a>" * 500 + "</a>" * 500 + "</Signature>"),
        "depth",
    ),
    "very many elements": (alert("<code/>" * (MAX_ELEMENTS + 1)), "elements"),
    "huge size": (alert("<note>" + "a" * MAX_BYTES + "</note>"), "size"),
    "XInclude": (
        alert('<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>'),
        "unknown-element",
    ),
    "XInclude in a text": (
        alert('<note><x:include xmlns:x="http://www.w3.org/2001/XInclude" href="/etc/passwd"/></note>'),
        "elements",
    ),
    "UTF-7": (b'<?xml version="1.0" encoding="utf-7"?><alert/>', "encoding"),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.timeout(10)
def test_xml_attacks_are_refused_unread(attack: str) -> None:
    xml, rule = ATTACKS[attack]
    assert [found for _, found in rules(xml)] == [rule]


def test_what_is_deep_but_not_too_deep_is_refused_for_what_it_is() -> None:
    levels = MAX_DEPTH - 1
    assert rules(alert("<mood>" * levels + "</mood>" * levels)) == [("alert.mood", "unknown-element")]


def test_a_signature_is_noted_and_left_behind() -> None:
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><a/></SignedInfo></Signature>'
    payload = parse(alert(info() + signature))
    assert payload["signed"]
    assert canonical(write(payload)) == canonical(alert(info()))


def test_schema_locations_comments_and_instructions_mean_nothing() -> None:
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"'
    xml = alert("<!-- c --><?p i?>" + info()).replace(b"<alert ", f"<alert {xsi} ".encode())
    assert parse(xml) == parse(alert(info()))


def _fields(parts: tuple[Element, ...], record: dict[str, Any], path: str) -> Iterator[str]:
    """Where grammar and schema do not say the same."""
    own = {field["name"]: field["type"] for field in record["fields"]}
    for part in parts:
        found = own.pop(part.field, None)
        if found is None:
            yield f"{path}.{part.field}: is not in the schema"
            continue
        if part.many != (isinstance(found, dict) and found["type"] == "array"):
            yield f"{path}.{part.field}: list in one only"
        inner = found["items"] if part.many else found
        if not part.many and (part.required and not part.optional_in_1_1) == isinstance(inner, list):
            yield f"{path}.{part.field}: nullable or not"
        if part.kind is Kind.WORD and sorted(inner["symbols"]) != sorted((*part.words, *part.new_words)):
            yield f"{path}.{part.field}: other words"
        if part.kind is Kind.GROUP and isinstance(inner, dict):
            yield from _fields(part.parts, inner, f"{path}.{part.field}")
    allowed = {"": {"cap_version", "signed", "message"}, ".infos.areas": {"bounds"}}.get(path, set())
    if set(own) != allowed:
        yield f"{path}: only in the schema: {sorted(set(own) - allowed)}"


def test_the_schema_has_every_element_of_the_standard_and_no_other() -> None:
    assert list(_fields(ALERT, SCHEMA, "")) == []


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


@given(
    texts=st.lists(TEXTS, min_size=4, max_size=4),
    words=st.lists(st.sampled_from(["Geo", "Met", "CBRNE"]), min_size=1, max_size=3),
    corners=st.lists(
        st.tuples(st.floats(-90, 90, allow_nan=False), st.floats(-180, 180, allow_nan=False)), min_size=3, max_size=6
    ),
)
def test_what_is_written_is_read_back_as_it_was(
    texts: list[str], words: list[str], corners: list[tuple[float, float]]
) -> None:
    """Write then parse gives the payload back, whatever texts and positions it holds."""
    payload = parse(alert(area("<circle>1,2 3</circle>")))
    shape = [{"latitude": round(north, 6), "longitude": round(east, 6)} for north, east in corners]
    payload["infos"][0] |= {"categories": words, "headline": texts[0], "description": texts[1]}
    payload["infos"][0]["parameters"] = [{"name": texts[2], "value": texts[3]}]
    payload["infos"][0]["areas"][0] |= {"polygons": [{"corners": [*shape, shape[0]], "as_written": None}]}
    again = parse(write(payload))
    payload["infos"][0]["areas"][0]["bounds"] = again["infos"][0]["areas"][0]["bounds"]
    assert again == payload


FULL = alert(
    "<references>a@b,1,2026-11-24T13:00:00+07:00</references>"
    + info(
        "<expires>2026-11-24T15:00:00+07:00</expires>"
        "<resource><resourceDesc>m</resourceDesc><mimeType>a/b</mimeType><size>9</size></resource>"
        f"<area>{AREA}<polygon>1,2 3,4 5,6 1,2</polygon><circle>1,2 3</circle><altitude>1</altitude></area>"
    )
)
PIECES = st.sampled_from(
    [
        *(b"", b"<", b">", b"&", b"]]>", b"<!--", b"<?", b"</info>", b"<info>", b'xmlns="x"'),
        *(b"\x00", b"\xff", b"9" * 400, b"-", b"e", b"nan", "\N{ARABIC-INDIC DIGIT ONE}".encode()),
        *(b"9999-12-31T23:59:59-23:59", b"0001-01-01T00:00:00+23:59"),
    ]
)


@given(start=st.integers(0, len(FULL)), length=st.integers(0, 30), piece=PIECES | st.binary(max_size=4))
def test_whatever_is_done_to_a_message_it_is_read_or_refused(start: int, length: int, piece: bytes) -> None:
    try:
        payload = parse(FULL[:start] + piece + FULL[start + length :])
    except MalformedMessage:
        return
    assert parse(write(over_the_bus(payload)))["infos"] == payload["infos"]


@given(st.binary(max_size=200))
def test_bytes_that_are_no_xml_are_refused(content: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse(content)
