"""Whether a processor lives, works, has come as far as working."""

from typing import Final

from monitoring.endpoints import Health, Pulse

SILENT_SECONDS: Final = 90.0  # longer than a transaction, a rebalance and a start of Faust take together


class ProcessorWatch:
    """Is told by a processor how it goes (``streams.processors.watched``); safe to ask from another thread."""

    def __init__(self, name: str, silent_seconds: float = SILENT_SECONDS) -> None:
        """``name`` is the processor's; it is stuck once it has not come round for ``silent_seconds``."""
        self._pulse = Pulse(f"the loop of {name}", silent_seconds)
        self._waits = "it is starting"
        self._has_worked = False

    def waits(self, reason: str) -> None:
        """It has come round, and cannot do its work yet."""
        self._waits = reason
        self._pulse.beat()

    def works(self) -> None:
        """It has come round doing its work."""
        self._waits, self._has_worked = "", True
        self._pulse.beat()

    @property
    def health(self) -> Health:
        """What its endpoints answer. One that waits for its turn or for the catalogue lives, and is not ready."""
        return Health(
            live=self._pulse.check,
            ready=lambda: self._pulse.check() or self._waits,
            startup=lambda: "" if self._has_worked else self._waits,
        )
