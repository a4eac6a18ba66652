"""What a processor tells whoever watches whether it lives and works."""

from typing import Protocol


class Watched(Protocol):
    """Is told by a processor, from the thread that does the work, each time its loop comes round."""

    def waits(self, reason: str) -> None:
        """It has come round, and cannot do its work yet; ``reason`` holds nothing personal."""

    def works(self) -> None:
        """It has come round doing its work, if only to find that there is none."""
