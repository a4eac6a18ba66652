"""How many things were counted, and which, in little memory: the oracle cannot keep millions of deliveries."""

import dataclasses

_MODULUS = 1 << 256


@dataclasses.dataclass(slots=True)
class Tally:
    """Tallies are equal if the same things were counted equally often.

    The fingerprint is the sum of the things' 32-byte identities, so that order does not matter.
    """

    count: int = 0
    fingerprint: int = 0

    def add(self, identity: bytes) -> None:
        """Count one thing."""
        self.count += 1
        self.fingerprint = (self.fingerprint + int.from_bytes(identity)) % _MODULUS
