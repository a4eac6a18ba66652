"""Where a connector logs: its lines carry its name."""

import logging


class _Named(logging.Filter):
    """Puts a connector's name on what it logs."""

    def __init__(self, system: str, connector: str) -> None:
        super().__init__()
        self._names = {"system": system, "connector": connector}

    def filter(self, record: logging.LogRecord) -> bool:
        record.__dict__.update(self._names)
        return True


def logger_of(system: str, connector: str) -> logging.Logger:
    """Where a connector logs."""
    logger = logging.getLogger(f"connectors.of.{system}.{connector}")
    if not logger.filters:
        logger.addFilter(_Named(system, connector))
    return logger
