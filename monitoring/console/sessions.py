"""Sessions: a signed cookie that holds who has logged in; nothing is stored at the server but who has signed out."""

import dataclasses
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import HTTPConnection
from starlette.responses import Response

from lintas.credentials import write_private
from lintas.settings import Settings
from monitoring.console.identity import Person

SESSION: Final = "lintas_session"
LOGIN: Final = "lintas_login"
KEY_FILE: Final = "console-session.key"
LOGIN_SECONDS: Final = 600  # from being sent to the issuer to coming back
RESTAMP_SECONDS: Final = 60  # a cookie is written anew no more often than this

Clock = Callable[[], float]


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """One login.

    Attributes:
        number: tells logins apart.
        csrf: what every form sends back.
        began: seconds since 1970.
        seen: likewise, when the cookie was last written.
    """

    person: Person
    number: str
    csrf: str
    began: float
    seen: float


class Sessions:
    """Opens sessions, knows them again, and ends them: after a time, after idleness, or when asked."""

    def __init__(
        self, key: str, *, lasts_seconds: float, idle_seconds: float, secure: bool, clock: Clock = time.time
    ) -> None:
        """``key`` is secret and the same for all consoles of one bus; ``secure``: cookies go over HTTPS only."""
        self._signed = URLSafeSerializer(key, salt="lintas console session")
        self._signed_login = URLSafeSerializer(key, salt="lintas console login")
        self._lasts, self._idle, self._secure, self._clock = lasts_seconds, idle_seconds, secure, clock
        self._ended: dict[str, float] = {}

    def open(self, person: Person) -> Session:
        """A new session."""
        now = self._clock()
        return Session(person, secrets.token_urlsafe(12), secrets.token_urlsafe(24), now, now)

    def of(self, request: HTTPConnection) -> Session | None:
        """The session of a request; None if there is none, or it has ended."""
        try:
            value = self._signed.loads(request.cookies.get(SESSION, ""))
            person = Person.from_json(value["person"])
            session = Session(person, value["number"], value["csrf"], value["began"], value["seen"])
        except (BadSignature, KeyError, TypeError, ValueError):
            return None
        return session if self.is_open(session) else None

    def is_open(self, session: Session) -> bool:
        """Whether a session still counts."""
        now = self._clock()
        ended = session.number in self._ended
        return not ended and now < session.began + self._lasts and now < session.seen + self._idle

    def write(self, response: Response, session: Session) -> None:
        """Have the browser keep the session, as one that was used just now."""
        value = dataclasses.asdict(session) | {"person": session.person.as_json(), "seen": self._clock()}
        self._set(response, SESSION, self._signed.dumps(value), round(self._lasts))

    def is_stale(self, session: Session) -> bool:
        """Whether the cookie should be written anew, so that a person who works is not idle."""
        return self._clock() > session.seen + RESTAMP_SECONDS

    def end(self, response: Response, session: Session) -> None:
        """End a session, also for whoever has copied the cookie (at this console; others forget it in time)."""
        now = self._clock()
        self._ended = {number: until for number, until in self._ended.items() if until > now}
        self._ended[session.number] = session.began + self._lasts
        response.delete_cookie(SESSION, path="/", secure=self._secure, httponly=True, samesite="lax")

    def begin_login(self, response: Response, login: dict[str, str]) -> None:
        """Remember what the answer of the issuer must fit."""
        value = login | {"until": self._clock() + LOGIN_SECONDS}
        self._set(response, LOGIN, self._signed_login.dumps(value), LOGIN_SECONDS)

    def login_of(self, request: HTTPConnection) -> dict[str, Any] | None:
        """What was remembered; None if nothing was, or it is too long ago."""
        try:
            value: dict[str, Any] = self._signed_login.loads(request.cookies.get(LOGIN, ""))
        except BadSignature:
            return None
        return value if self._clock() < value["until"] else None

    def forget_login(self, response: Response) -> None:
        """It has been used."""
        response.delete_cookie(LOGIN, path="/", secure=self._secure, httponly=True, samesite="lax")

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite="lax")


def session_key(settings: Settings) -> str:
    """The key that sessions are signed with, made at random the first time."""
    file: Path = settings.secrets / KEY_FILE
    if not file.exists():
        write_private(file, secrets.token_urlsafe(48) + "\n")
    return file.read_text().strip()
