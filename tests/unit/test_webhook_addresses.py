import ipaddress

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.plugins.webhook.addresses import Address, why_forbidden
from connectors.plugins.webhook.network import ForbiddenAddress, PinnedNetwork

PUBLIC = [
    "1.1.1.1",
    "36.95.1.1",
    "2606:4700:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::1.1.1.1",
    "172.32.0.1",
    "11.0.0.1",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "::1",
    "fc00::1",
    "fdff::1",
    "::ffff:10.0.0.1",  # IPv4 in IPv6
    "::ffff:127.0.0.1",
    "::127.0.0.1",  # the deprecated way to write it
    "64:ff9b::10.0.0.1",  # through NAT64
]
NEVER = [
    "169.254.169.254",  # metadata
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.1.1",  # link-local
    "fe80::1",
    "fe80::1%eth0",
    "0.0.0.0",  # loopback on Linux
    "0.1.2.3",
    "::",
    "224.0.0.1",  # multicast
    "239.255.255.250",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "203.0.113.5",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2001::1",  # Teredo
    "64:ff9b:1::1",  # local NAT64
    "fec0::1",  # site-local
    "4000::1",  # not handed out yet
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_in_order(address: str) -> None:
    assert why_forbidden(address, allow_private=False) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_or_loopback_address_needs_permission(address: str) -> None:
    assert why_forbidden(address, allow_private=False) == "it is private or loopback"
    assert why_forbidden(address, allow_private=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_nothing_permits_link_local_metadata_multicast_and_reserved_addresses(address: str) -> None:
    assert why_forbidden(address, allow_private=True) is not None


@given(st.ip_addresses())
def test_nothing_is_allowed_that_the_standard_library_calls_private_or_reserved(address: Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    meant = address if mapped is None else mapped
    allowed = why_forbidden(str(address), allow_private=False) is None
    nat64 = address.version == 6 and address in ipaddress.IPv6Network("64:ff9b::/96")
    strict = meant.is_private or meant.is_loopback or meant.is_link_local or meant.is_multicast or meant.is_unspecified
    assert not (allowed and strict and not nat64)


class Dialled:
    """Stands for the network: which addresses are connected to, and which answer."""

    def __init__(self, *answering: str) -> None:
        self.answering = answering
        self.addresses: list[str] = []
        self.timeouts: list[float | None] = []

    async def connect_tcp(self, address: str, _port: int, seconds: float | None = None, *_: object) -> str:
        self.addresses.append(address)
        self.timeouts.append(seconds)
        if address not in self.answering:
            raise httpcore.ConnectError("refused")
        return f"stream to {address}"


def pinned(*addresses: str, dialled: Dialled, allow_private: bool = False) -> PinnedNetwork:
    async def resolving(_host: str, _port: int) -> list[str]:
        return list(addresses)

    made = PinnedNetwork(allow_private=allow_private, resolving=resolving)
    made._plain = dialled  # type: ignore[assignment]  # nothing is to be sent to the outside by a test
    return made


async def test_the_address_that_was_checked_is_connected_to_and_not_the_name() -> None:
    dialled = Dialled("1.1.1.1")
    await pinned("1.1.1.1", dialled=dialled).connect_tcp("receiver.example", 443)
    assert dialled.addresses == ["1.1.1.1"]


async def test_of_several_addresses_only_those_in_order_are_tried_until_one_answers() -> None:
    dialled = Dialled("1.1.1.2")
    await pinned("127.0.0.1", "1.1.1.1", "169.254.169.254", "1.1.1.2", dialled=dialled).connect_tcp("r.example", 443)
    assert dialled.addresses == ["1.1.1.1", "1.1.1.2"]


async def test_an_address_that_says_nothing_leaves_time_for_the_others() -> None:
    dialled = Dialled("1.1.1.1")
    await pinned("2606:4700:4700::1111", "1.1.1.1", dialled=dialled).connect_tcp("r.example", 443, 15)
    assert dialled.timeouts == [7.5, 7.5]


async def test_a_name_that_changes_its_mind_is_checked_at_each_connection() -> None:
    answers = [["1.1.1.1"], ["127.0.0.1"]]

    async def resolving(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    rebinding, dialled = PinnedNetwork(allow_private=False, resolving=resolving), Dialled("1.1.1.1", "127.0.0.1")
    rebinding._plain = dialled  # type: ignore[assignment]  # nothing is to be sent to the outside by a test
    await rebinding.connect_tcp("rebinding.example", 443)
    with pytest.raises(ForbiddenAddress, match="private or loopback"):
        await rebinding.connect_tcp("rebinding.example", 443)
    assert dialled.addresses == ["1.1.1.1"]


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f000001", "2130706433", "127.1", "localhost", "0"])
async def test_however_loopback_is_written_it_is_refused(host: str) -> None:
    with pytest.raises(httpcore.ConnectError) as refused:  # where the resolver takes such a form
        await PinnedNetwork(allow_private=False).connect_tcp(host, 443)
    assert isinstance(refused.value, ForbiddenAddress) or "no address" in str(refused.value)


async def test_a_refusal_does_not_tell_what_the_name_means_inside() -> None:
    with pytest.raises(ForbiddenAddress) as refused:
        await pinned("10.11.12.13", dialled=Dialled()).connect_tcp("internal.example", 443)
    assert "10.11" not in str(refused.value)
