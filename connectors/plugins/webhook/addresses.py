"""Which addresses a webhook may be sent to: no receiver's URL may lead into the network of whoever sends.

IANA's special-purpose registries (RFC 6890) as `ipaddress` has them, read strictly, and what they leave open.
"""

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PRIVATE: Final[tuple[_Network, ...]] = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1", "fc00::/7")
)
# Where clouds answer with credentials; some of these lie in ranges that are otherwise public or private.
_METADATA: Final = frozenset(
    ipaddress.ip_address(address)
    for address in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192")
) | {ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("fd20:ce::254")}
_NEVER: Final[tuple[_Network, ...]] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network: Linux takes it for loopback
        "169.254.0.0/16",  # link-local
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/128",  # unspecified
        "64:ff9b:1::/48",  # local NAT64: leads to private IPv4
        "100::/64",  # discard
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: leads to any IPv4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local
        "ff00::/8",  # multicast
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address meant
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")  # RFC 4291 section 2.5.5.1, deprecated
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_IPV4: Final = 0xFFFFFFFF


def why_forbidden(text: str, *, allow_private: bool) -> str | None:
    """Why no webhook may be sent to an address, in words; None if one may.

    Args:
        text: an IPv4 or IPv6 address, with or without a zone.
        allow_private: private and loopback addresses are in order; link-local, multicast and cloud metadata never are.
    """
    address = _meant(ipaddress.ip_address(text.partition("%")[0]))
    if address in _METADATA:
        return "it is a cloud's metadata service"
    if any(address in network for network in _PRIVATE if network.version == address.version):
        return None if allow_private else "it is private or loopback"
    if any(address in network for network in _NEVER if network.version == address.version):
        return "it is link-local, multicast or reserved"
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return "it is not a public address"
    return None


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        number = int(address)
        if address in _NAT64 or (address in _COMPATIBLE and number > 1):
            return ipaddress.IPv4Address(number & _IPV4)
    return address
