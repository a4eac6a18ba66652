"""Who is at the console: a person with roles, as the issuer of identities says."""

import dataclasses
import enum
import re
from collections.abc import Mapping
from typing import Any, Final

from lintas import names

LONGEST_NAME: Final = 120
LONGEST_SUBJECT: Final = 255  # OpenID Connect Core 1.0, section 2


class Role(enum.StrEnum):
    """What a person is on the bus; one may be several."""

    VIEWER = "viewer"  # sees how the bus is
    STEWARD = "steward"  # answers for one agency's data, as provider and as consumer
    OPERATOR = "operator"  # keeps the bus alive
    AUDITOR = "auditor"  # sees what others did


class NoPerson(ValueError):
    """Claims do not tell of a person; the text says what is missing, without values."""


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has logged in.

    Attributes:
        name: for people to read; shown, never logged.
        subject: the issuer's identifier, stable for one person; what the log of acts holds.
        roles: none: may see nothing.
        agency: of a steward; "" for others.
    """

    name: str
    subject: str
    roles: frozenset[Role]
    agency: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the session."""
        return {
            "name": self.name,
            "subject": self.subject,
            "roles": sorted(self.roles),
            "agency": self.agency,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Person":
        """As the session holds it."""
        return cls(value["name"], value["subject"], frozenset(map(Role, value["roles"])), value["agency"])


def person_of(claims: Mapping[str, Any], *, roles_claim: str, agency_claim: str) -> Person:
    """The person whom verified claims tell of.

    Args:
        claims: of an ID token whose signature, issuer, audience and times have been checked.
        roles_claim: where the roles are, a list or words between spaces; dots lead into objects
            (``realm_access.roles``). Roles of other programs are passed over.
        agency_claim: where a steward's agency is. A steward without one is none.

    Raises:
        NoPerson: there is no subject.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
        raise NoPerson("the claim sub is missing")
    name = next((one for key in ("name", "preferred_username") if isinstance(one := claims.get(key), str)), subject)
    told = _claim(claims, roles_claim)
    told = told.split() if isinstance(told, str) else told
    known = {role.value for role in Role}
    roles = {Role(one) for one in told if one in known} if isinstance(told, list) else set()
    agency = _claim(claims, agency_claim)
    is_agency = isinstance(agency, str) and re.fullmatch(names.AGENCY_ID, agency) is not None
    if not is_agency:
        roles.discard(Role.STEWARD)
    return Person(name[:LONGEST_NAME], subject, frozenset(roles), agency if is_agency and Role.STEWARD in roles else "")


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    value: Any = claims
    if path in claims:  # names of claims may hold dots themselves
        return claims[path]
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
