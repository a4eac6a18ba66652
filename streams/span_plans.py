"""Plans by field span: one walk over an event's binary serves every agreement, and nothing is decoded that none needs.

``Reading`` is made for one schema that publishers write with; ``SpanPlan`` is one agreement's part in it. What they
cannot do, and all that is out of the ordinary in an event, the reference path does (``streams.decide``): a plan never
says why an event or a release fails, it only declines.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lintas import names
from schemas.condition_fast import Inlet
from schemas.conditions import Condition
from schemas.cuts import Cut
from schemas.envelope_release import carries_trace_on, id_pseudonym, released_attribute, rule_for
from schemas.model import Agreement, EventType
from schemas.release_rules import Generalise
from schemas.rules import Pseudonymise, ReleaseRule
from schemas.span_places import Places, Unsuited, View, view
from schemas.span_release import Pieces, field_value
from schemas.span_walk import Found, Walk, walk_of
from schemas.wire import framing
from schemas.wire.envelope import binary_headers
from schemas.wire.types import Type
from schemas.wire.varint import zigzag
from streams import traces
from streams.envelope_shapes import Attributes
from streams.evidence import LABEL, SALT_BYTES
from streams.record_format import LENGTHS, length

Check = Callable[[Found, Attributes], bool]
# bytes, what the walk found, attributes, key, salt, the trace that it may begin -> inbox partition, commitment, content
Deliver = Callable[[bytes, Found, Attributes, bytes | None, bytes, bytes], tuple[int, bytes, bytes]]

_ATTRIBUTES: Final = {"source": "x[0]", "id": "x[1]", "subject": "x[2]", "time": "x[3]"}
_HEADERS: Final = {"source": "x[4]", "id": "x[5]", "subject": "x[6]", "time": "x[7]"}
_OF_LENGTH: Final = {"year": 4, "month": 7, "day": 10}
_TRACE_BYTES: Final = 55
_FIRST_MOMENT: Final = b"0000-01-01T00:00:00Z"


class SpanPlan:
    """One agreement, for events written with one schema.

    Attributes:
        when: whether the event concerns the consumer; None where every event does.
        require: the conditions that must hold.
        deliver: makes the delivery.
    """

    __slots__ = ("deliver", "require", "when")

    def __init__(self, when: Check | None, require: Sequence[Check], deliver: Deliver) -> None:
        self.when = when
        self.require = require
        self.deliver = deliver


class Terms:
    """What the plans of one agreement are made of, whatever schema the events were written with."""

    def __init__(
        self,
        agreement: Agreement,
        event_type: EventType,
        *,
        channel: str,
        when: Condition | None,
        require: Sequence[Condition],
        cut: Cut,
        released_id: int,
        pseudonymise: Pseudonymise,
        partition_key: bytes,
        partitions: int,
    ) -> None:
        self.agreement = agreement
        self.event_type = event_type
        self.when = when
        self.require = require
        self.cut = cut
        self.frame = framing.frame(released_id, b"")
        self.pseudonymise = pseudonymise
        self.partition_key = partition_key
        self.partitions = partitions
        self.fixed_headers = binary_headers(
            {
                "specversion": "1.0",
                "type": event_type.event_type,
                "datacontenttype": "application/avro",
                "agreement": agreement.agreement,
                "channel": channel,
            }
        )

    @property
    def are_usual(self) -> bool:
        """Whether they speak of no extension attributes: plans do not carry those."""
        named = {name for condition in (self.when, *self.require) if condition for name in condition.names}
        spoken = {steps[1] for steps in named if steps[0] == "event"} | set(self.agreement.envelope)
        return spoken <= {*_ATTRIBUTES, "type", "specversion", "key"}


class Reading:
    """One schema that events of a type are written with.

    Attributes:
        walk: finds what is needed, or declines.
        subject: where the value of the subject field is found; None if the event type has none.
        plans: of each agreement, in their order; None where the reference path serves it.
    """

    def __init__(self, writer: Type, reader: Type, event_type: EventType, terms: Sequence[Terms | None]) -> None:
        """Compile.

        Raises:
            Unsuited: every event of this schema is for the reference path.
        """
        places = Places(writer)
        seen = view(places.root, reader)
        self.subject: int | None = None
        if event_type.subject is not None:
            self.subject, _ = field_value(seen, event_type.subject.split("."))
            if self.subject is None:
                raise Unsuited
        before = None
        if event_type.before is not None:
            before, missing = field_value(seen, (event_type.before,))
            if before is None and missing is not None:
                raise Unsuited
        drafts = [None if one is None else _Draft.of(one, seen, before) for one in terms]
        self.walk: Walk = walk_of(places.root)
        self.plans = [None if draft is None else draft.plan() for draft in drafts]


class _Draft:
    """One agreement's needs of the walk, before the walk is made."""

    def __init__(self, terms: Terms, seen: View, before: int | None) -> None:
        self._terms = terms
        self._when = None if terms.when is None else _check(terms.when, seen, terms.event_type, before)
        self._require = [_check(condition, seen, terms.event_type, None) for condition in terms.require]
        self._pieces = Pieces(seen, terms.cut)

    @classmethod
    def of(cls, terms: Terms, seen: View, before: int | None) -> "_Draft | None":
        """A draft, if there can be a plan."""
        try:
            return cls(terms, seen, before)
        except Unsuited:
            return None

    def plan(self) -> SpanPlan:
        return SpanPlan(self._when, self._require, _deliver(self._terms, self._pieces))


def _check(condition: Condition, seen: View, event_type: EventType, before: int | None) -> Check:
    """A condition over what the walk finds; of corrections, ``before`` says where the values before are found."""
    env: dict[str, Any] = {"holds": condition.holds}
    values = []
    for number, variable in enumerate(condition.variables):
        root, *path = variable.steps
        if root == "event":
            value = _attribute(path[0], event_type, env)
        else:
            slot, missing = field_value(seen, path)
            value = f"t[{slot}]"
            if slot is None:
                env[value := f"missing{number}"] = missing
        if variable.convert is not None:
            env[f"as{number}"] = variable.convert
            value = f"as{number}({value})"
        values.append(value)
    after = condition.inlined(Inlet("t, x", values, env)) or _compiled(f"holds({', '.join(values)})", env)
    if before is None:
        return after

    def either(found: Found, attributes: Attributes) -> bool:
        if after(found, attributes):
            return True
        held: Mapping[str, Any] | None = found[before]
        if held is None:
            return False
        earlier = [
            variable.read({}, held)
            if variable.steps[0] == "data" and variable.steps[1] in held
            else now(found, attributes)
            for variable, now in zip(condition.variables, single, strict=True)
        ]
        return bool(condition.holds(*earlier))

    single = [_compiled(value, env) for value in values]
    return either


def _compiled(expression: str, env: dict[str, Any]) -> Callable[[Found, Attributes], Any]:
    exec(compile(f"made = lambda t, x: {expression}", "<condition>", "exec"), env)  # noqa: S102  of names made here only
    return env.pop("made")  # type: ignore[no-any-return]  # a function of two


def _attribute(name: str, event_type: EventType, env: dict[str, Any]) -> str:
    if name == "type":
        env["event_type"] = event_type.event_type
        return "event_type"
    if name == "specversion":
        return "'1.0'"
    held = _ATTRIBUTES[name]
    return f"({held} and {held}.decode())"


def _deliver(terms: Terms, pieces: Pieces) -> Deliver:
    """The function that makes deliveries: value, key, headers, partition, commitment."""
    envelope = _EnvelopeCode(terms)
    value, env = pieces.code(terms.frame, terms.pseudonymise)
    env |= envelope.env | {
        "LENGTHS": LENGTHS,
        "length": length,
        "sha256": hashlib.sha256,
        "join": b"".join,
        "LABEL": LABEL,
        "OF_SALT": length(SALT_BYTES),
        "PARTITION_KEY": terms.partition_key,
        "first8": struct.Struct(">Q").unpack_from,
    }
    partition = (
        "0"
        if terms.partitions == 1
        else f"first8(sha256(PARTITION_KEY + (x[1] if key is None else key)).digest())[0] % {terms.partitions}"
    )
    lines = [
        "def deliver(d, t, x, key, salt, trace):",
        f"    v = {value}",
        "    n = len(v)",
        "    n = LENGTHS[n] if n < 4096 else length(n)",
        "    if key is None or x[2] is None or x[3] is None:",
        *(f"        {line}" for line in envelope.cautious()),
        "    else:",
        *(f"        {line}" for line in envelope.usual()),
        # what is committed to ends with the salt's header empty, the record with the salt in it
        f"    return {partition}, sha256(m).digest(), join((m[{len(LABEL) + SALT_BYTES}:-1], OF_SALT, salt))",
    ]
    exec(compile("\n".join(lines), "<delivery>", "exec"), env)  # noqa: S102  of names made here only
    return env["deliver"]  # type: ignore[no-any-return]  # just defined


class _EnvelopeCode:
    """Code that makes ``m``: label and salt, and the content of the delivery with the salt's header empty.

    In it ``v`` is the value and ``n`` its length. There is a quick form for events that have key, subject and time, and
    one for all.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._fixed = b"".join(_header(name, value) for name, value in terms.fixed_headers)
        trace = length(len(traces.NAME)) + traces.NAME.encode() + length(_TRACE_BYTES)
        empty_salt = length(len(names.HEADER_SALT)) + names.HEADER_SALT.encode() + length(0)
        self.env: dict[str, Any] = {
            "FIXED": self._fixed,
            "NO_KEY": zigzag(-1),
            "TRACE": trace,
            "BEGIN_TRACE": trace + traces.BEGIN,
            "END_TRACE": traces.END + empty_salt,
            "EMPTY_SALT": empty_salt,
            "of_id": self._id_token,
            "token": self._token,
        }
        self._values: dict[str, str] = {}  # code of what is released, by attribute
        for name, held in _ATTRIBUTES.items():
            rule = rule_for(name, terms.agreement, terms.event_type)
            if rule is None or rule.name != "drop":
                self.env[f"NAME_{name}"] = length(len(f"ce_{name}")) + f"ce_{name}".encode()
                self._values[name] = self._value(name, rule, held)
        rule = rule_for("key", terms.agreement, terms.event_type)
        self._key = None if rule is None or rule.name == "drop" else self._key_value(rule)

    def usual(self) -> list[str]:
        lines, parts = [], ["LABEL", "salt"]
        if self._key is None:
            parts.append("NO_KEY")
        else:
            lines.append(f"k = {self._key}")
            parts += ["LENGTHS[len(k)]", "k"]
        headers = len(self._terms.fixed_headers) + len(self._values) + 2
        parts += ["n", "v", f"LENGTHS[{headers}]", "FIXED"]
        for name, value in self._values.items():
            if value == _ATTRIBUTES[name]:
                parts.append(_HEADERS[name])  # as it is
            else:
                lines.append(f"w_{name} = {value}")
                parts += [f"NAME_{name}", f"LENGTHS[len(w_{name})]", f"w_{name}"]
        return [*lines, self._made(", ".join(parts))]

    def cautious(self) -> list[str]:
        lines = [f"c = {len(self._terms.fixed_headers) + 2}", "parts = []"]
        for name, value in self._values.items():
            lines += [
                f"if {_ATTRIBUTES[name]} is not None:",
                f"    w = {value}; c += 1",
                f"    parts += (NAME_{name}, LENGTHS[len(w)], w)",
            ]
        if self._key is None:
            lines.append("k = (NO_KEY,)")
        else:
            lines += ["if key is None: k = (NO_KEY,)", f"else: k = {self._key}; k = (LENGTHS[len(k)], k)"]
        return [*lines, self._made("LABEL, salt, *k, n, v, LENGTHS[c], FIXED, *parts")]

    def _made(self, parts: str) -> str:
        """Code that joins the parts and the headers that every delivery ends with: trace and salt."""
        begun = f"m = join(({parts}, BEGIN_TRACE, trace, END_TRACE))"
        if not carries_trace_on(self._terms.event_type):
            return begun
        on = "TRACE, x[8][:36], trace[16:], x[8][52:], EMPTY_SALT"  # traces.of_delivery, without a call
        return f"{begun} if x[8] is None else join(({parts}, {on}))"

    def _id_token(self, value: bytes) -> bytes:
        return id_pseudonym(value.decode(), self._terms.pseudonymise).encode()

    def _token(self, value: bytes) -> bytes:
        return self._terms.pseudonymise(value).encode()

    def _value(self, name: str, rule: ReleaseRule | None, held: str) -> str:
        if rule is None:  # the source of an event about persons is named without path
            self.env["stem"] = lambda source: source.partition(b"/")[0]
            return f"stem({held})"
        if rule.name == "keep":
            return held
        if rule.name == "pseudonym":
            return f"of_id({held})" if name == "id" else f"token({held})"
        pseudonymise = self._terms.pseudonymise
        changed = f"changed_{name}({held})"
        self.env[f"changed_{name}"] = lambda value: released_attribute(
            name, rule, value.decode(), pseudonymise
        ).encode()
        if isinstance(rule, Generalise) and name == "time":  # of a moment in UTC the beginning is enough
            kept = _OF_LENGTH[str(rule.to)]
            return f"{held}[:{kept}] + {_FIRST_MOMENT[kept:]!r} if {held}[-1] == 90 else {changed}"
        return changed

    def _key_value(self, rule: ReleaseRule) -> str:
        if rule.name == "keep":
            return "key"
        if rule.name == "pseudonym":
            return "token(key)"
        changed, pseudonymise = rule.released, self._terms.pseudonymise
        self.env["changed_key"] = lambda key: str(changed(key.decode(), pseudonymise)).encode()
        return "changed_key(key)"


def _header(name: str, value: bytes) -> bytes:
    return length(len(name)) + name.encode() + length(len(value)) + value
