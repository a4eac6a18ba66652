"""URIs and media types by their grammars (RFC 3986, RFC 2045)."""

import ipaddress
import re

_PCT = "%[0-9A-Fa-f]{2}"
_CHAR = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|{_PCT})"  # pchar
_NAME = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|{_PCT})*"
_HOST = rf"\[(?P<ip6>[0-9A-Fa-f:.]+)\]|\[v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\]|{_NAME}"
_AUTHORITY = rf"//(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|{_PCT})*@)?(?:{_HOST})(?::[0-9]*)?(?:/{_CHAR}*)*"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*:"
_QUERY = rf"(?:\?(?:{_CHAR}|[/?])*)?"
_FRAGMENT = rf"(?:#(?:{_CHAR}|[/?])*)?"
_ABSOLUTE_PATH = rf"/(?:{_CHAR}+(?:/{_CHAR}*)*)?"
_ROOTLESS = rf"{_CHAR}+(?:/{_CHAR}*)*"
# The first segment of a relative path has no colon, or it would be read as a scheme.
_NO_SCHEME = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;=@]|{_PCT})+(?:/{_CHAR}*)*"

_ABSOLUTE = re.compile(rf"{_SCHEME}(?:{_AUTHORITY}|{_ABSOLUTE_PATH}|{_ROOTLESS})?{_QUERY}")
_WITH_FRAGMENT = re.compile(_ABSOLUTE.pattern + _FRAGMENT)
_RELATIVE = re.compile(rf"(?:{_AUTHORITY}|{_ABSOLUTE_PATH}|{_NO_SCHEME})?{_QUERY}{_FRAGMENT}")

_TOKEN = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"  # noqa: S105  a token of RFC 2045
_QUOTED = r'"(?:[^"\\\r\n]|\\.)*"'
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))*[ \t]*")
_PARAMETER = re.compile(rf";[ \t]*({_TOKEN})=({_TOKEN}|{_QUOTED})")


def is_absolute_uri(text: str) -> bool:
    """Whether a text is an absolute URI (RFC 3986, section 4.3: without fragment)."""
    return _is(_ABSOLUTE, text)


def is_uri_reference(text: str) -> bool:
    """Whether a text is a URI reference (RFC 3986, section 4.1)."""
    return _is(_WITH_FRAGMENT, text) or _is(_RELATIVE, text)


def _is(pattern: re.Pattern[str], text: str) -> bool:
    match = pattern.fullmatch(text)
    if match is None:
        return False
    if (address := match["ip6"]) is not None:
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            return False
    return True


def is_media_type(text: str) -> bool:
    """Whether a text is a media type with parameters (RFC 2045, section 5.1)."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def essence(media_type: str) -> str:
    """A media type without its parameters, in lower case."""
    return media_type.partition(";")[0].strip(" \t").lower()


def charset(media_type: str) -> str | None:
    """The charset that a media type names, in lower case."""
    for name, value in _PARAMETER.findall(media_type):
        if name.lower() == "charset":
            return str(value).strip('"').lower()
    return None


def declares_json(media_type: str | None) -> bool:
    """Whether data of a media type is JSON (CloudEvents JSON format, section 3.1.1); nothing said means it is."""
    if media_type is None:
        return True
    subtype = essence(media_type).partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")
