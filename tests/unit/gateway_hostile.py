"""Requests that no decent program sends, made at random from a seed: well-formed ones that were damaged somewhere."""

import base64
import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from gateway_memory import BINARY, BMKG, BNPB, DUKCAPIL, QUAKE, QUAKES, structured

Headers = list[tuple[bytes, bytes]]
STRANGE: Sequence[Any] = (
    *(None, True, -1, 0, 2**31, 2**63, 2**64, -(2**70), 1e308, 1.5, "", " ", "NaN", "x" * 70_000, "\x00", "\u202e"),
    *("\ud800", "\uffff", "😀", "'; DROP TABLE events; --", "../../etc/passwd", "${jndi:ldap://127.0.0.1/a}", "%C0%A0"),
    *([], {}, [[]], {"": {}}, [None] * 1_000, {"a": {"b": {"c": []}}}, "2026-02-30T25:61:61Z", "0" * 5_000),
)
BYTES: Sequence[bytes] = (
    *(b"", b"\x00", b"\xff\xfe", b"{", b"[", b"]", b"{}", b"null", b"NaN", b'"', b"[" * 50_000, b'{"a":' * 30_000),
    *(
        b"1" * 10_000,
        b"\xef\xbb\xbf{}",
        b"\x1f\x8b\x08\x00",
        b'{"id":1,"id":2}',
        b"<?xml version='1.0'?><!DOCTYPE a []>",
    ),
    *(b"\x00\x00\x00\x00\x01", b"\x00\x00\x00\x00\x01" + b"\xff" * 100, b"\xc3\x01" + b"\x00" * 20, b"Obj\x01"),
)
TYPES: Sequence[bytes] = (
    *(b"application/json", b"application/avro", b"application/cloudevents+json", b"application/cloudevents-batch+json"),
    *(
        b"APPLICATION/CLOUDEVENTS+JSON; charset=utf-8",
        b"application/json; charset=utf-16",
        b"text/plain",
        b"",
        b";",
        b"\xff",
    ),
    *(
        b"application/cloudevents+xml",
        b"multipart/form-data",
        b"application/x-www-form-urlencoded",
        b"a/b; " + b"c" * 9_000,
    ),
)
VALUES: Sequence[bytes] = (
    *(b"", b" ", b"%", b"%zz", b"%00", b"%C0%A0", b"%ED%A0%80", b'"', b'"\\', b'"a"b"', b"\xff", b"1.1", b"x" * 30_000),
    *(
        b"%0d%0aSet-Cookie:%20a=b",
        b"urn:lintas:" + DUKCAPIL.encode(),
        b"id.go.dukcapil.birth.registered.v1",
        b"%25" * 999,
    ),
)
PATHS: Sequence[str] = (
    *("/events", "/inbox", "/inbox/cursor", "/inbox/stream", "/event-types", f"/event-types/{QUAKES}", "/agreements"),
    *(
        "/event-types/%2e%2e%2f",
        "/event-types/" + "a" * 4_000,
        "/../etc/passwd",
        "//events",
        "/events/",
        "/%ff",
        "/issuer",
    ),
    *("/issuer/token", "/issuer/jwks", "/openapi.json", "/nothing", "/event-types/%00", "/inbox/cursor/%F0%9F%98%80"),
)
QUERIES: Sequence[bytes] = (
    *(b"", b"limit=0", b"limit=-1", b"limit=99999999999999999999", b"limit=x", b"wait=nan", b"wait=inf", b"wait=-1"),
    *(b"wait=1e400", b"cursor=", b"cursor=%00", b"cursor=" + b"A" * 9_000, b"cursor=%FF", b"limit=1&limit=2", b"&&==%"),
)
METHODS: Sequence[str] = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW", "get")


@dataclasses.dataclass(frozen=True)
class Hostile:
    """One request, as bytes."""

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    system: str


def requests(seed: int, count: int, token: Callable[[str], str]) -> Iterator[Hostile]:
    """Requests from a seed; ``token`` gives a system's access token."""
    chance = random.Random(seed)
    for _ in range(count):
        system = chance.choice([BMKG] * 6 + [BNPB] * 3 + [DUKCAPIL, "nobody.here"])
        headers, body = _events(chance) if chance.random() < 0.7 else (_headers(chance), chance.choice(BYTES))
        publishes = chance.random() < 0.7
        yield Hostile(
            "POST" if publishes else chance.choice(METHODS),
            "/events" if publishes else chance.choice(PATHS),
            chance.choice(QUERIES) if chance.random() < 0.4 else b"",
            [*headers, *_authorization(chance, token(system))],
            body,
            system,
        )


def _events(chance: random.Random) -> tuple[Headers, bytes]:
    """A good request to publish, damaged in one to three places."""
    mode = chance.choice(("binary", "avro", "structured", "batch", "base64"))
    if mode in ("binary", "avro"):
        headers = [(name.encode(), value.encode()) for name, value in BINARY.items()]
        body = json.dumps(_damaged(chance, dict(QUAKE))).encode()
        if mode == "avro":
            headers[0] = (b"content-type", b"application/avro")
            body = chance.randbytes(chance.randrange(80))
        for _ in range(chance.randrange(3)):
            headers = _damaged_headers(chance, headers)
        return headers, _cut(chance, body)
    events: list[Any] = [structured(n) for n in range(chance.randrange(1, 6))]
    for _ in range(chance.randrange(1, 4)):
        spot = chance.randrange(len(events))
        if mode == "base64" and isinstance(events[spot], dict):
            events[spot].pop("data", None)
            events[spot]["data_base64"] = base64.b64encode(chance.randbytes(30)).decode()
        events[spot] = _damaged(chance, events[spot])
    value = events if mode == "batch" else events[0]
    kind = b"application/cloudevents-batch+json" if mode == "batch" else b"application/cloudevents+json"
    if chance.random() < 0.1:
        kind = chance.choice(TYPES)
    return [(b"content-type", kind)], _cut(chance, json.dumps(value).encode())


def _damaged(chance: random.Random, value: Any) -> Any:
    """A value with something strange in it, now and then left as it is."""
    if chance.random() < 0.1:
        return chance.choice(STRANGE)
    if isinstance(value, dict) and value:
        name = chance.choice(list(value))
        changed = dict(value)
        what = chance.randrange(5)
        if what == 0:
            del changed[name]
        elif what == 1:
            changed[chance.choice(("extra", "ID", "a b", "", "data_base64", "é", "x" * 300))] = chance.choice(STRANGE)
        elif what == 2 and isinstance(value[name], dict):
            changed[name] = _damaged(chance, value[name])
        elif what in (2, 3):
            changed[name] = chance.choice(STRANGE)
        return changed
    return value


def _damaged_headers(chance: random.Random, headers: Headers) -> Headers:
    at = chance.randrange(len(headers))
    name, value = headers[at]
    what = chance.randrange(5)
    if what == 0:
        return headers[:at] + headers[at + 1 :]
    if what == 1:
        return [*headers, (name, value)]
    if what == 2:
        return [*headers, (chance.choice((b"ce-", b"ce-data", b"ce-a_b", b"ce-\xff", b"ce-x")), chance.choice(VALUES))]
    return [*headers[:at], (name, chance.choice(TYPES if name == b"content-type" else VALUES)), *headers[at + 1 :]]


def _headers(chance: random.Random) -> Headers:
    names = (
        b"content-type",
        b"content-encoding",
        b"content-length",
        b"accept",
        b"last-event-id",
        b"ce-id",
        b"traceparent",
    )
    return [
        (name, chance.choice((*VALUES, *TYPES, b"gzip", b"-1", b"99999999999", b"text/event-stream")))
        for name in chance.sample(names, chance.randrange(4))
    ]


def _authorization(chance: random.Random, token: str) -> Headers:
    good = (b"authorization", b"Bearer " + token.encode())
    what = chance.randrange(20)
    if what == 0:
        return []
    if what == 1:
        return [good, good]
    if what == 2:
        return [
            (b"authorization", chance.choice((*VALUES, b"Bearer", b"Bearer a.b.c", b"Basic " + quote(token).encode())))
        ]
    if what == 3:
        spot = chance.randrange(len(token))
        return [(b"authorization", f"Bearer {token[:spot]}{chance.choice('A-_.=')}{token[spot + 1 :]}".encode())]
    return [good]


def _cut(chance: random.Random, body: bytes) -> bytes:
    if chance.random() < 0.85:
        return body
    spot = chance.randrange(len(body) + 1)
    return chance.choice(
        (body[:spot], body[:spot] + chance.choice(BYTES) + body[spot:], body + body, chance.choice(BYTES))
    )
