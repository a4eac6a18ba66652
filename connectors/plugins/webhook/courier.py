"""One attempt to give one delivery to the receiver."""

import datetime as dt
from collections.abc import Mapping

from lintas_client import Delivery

from connectors.plugins.webhook.answers import NoAnswer, Outcome, outcome
from connectors.plugins.webhook.notification import notification
from connectors.plugins.webhook.receiver import Receiver
from connectors.plugins.webhook.settings import WebhookConfig, secret_text
from connectors.plugins.webhook.signatures import Signer

TOO_LARGE = "too-large"


class Courier:
    """Writes, signs and posts a delivery; the same event has the same ``webhook-id`` each time."""

    def __init__(self, config: WebhookConfig, connector: str, receiver: Receiver) -> None:
        """Read the secrets.

        Raises:
            SecretsUnusable: those that sign.
            ValueError: the bearer token.
        """
        self._connector = connector
        self._receiver = receiver
        self._structured = config.mode == "structured"
        self._largest = config.largest_bytes
        self._signer = Signer.of_files(config.secret_files)
        self._fixed: Mapping[str, str] = {"WebHook-Request-Origin": config.origin} | (
            {}
            if config.bearer_token_file is None
            else {"Authorization": f"Bearer {secret_text(config.bearer_token_file)}"}
        )

    async def send(self, delivery: Delivery, now_ms: int) -> Outcome:
        """Post it once; ``now_ms`` is the time of the attempt, which is signed."""
        written = notification(delivery, self._connector, structured=self._structured)
        if len(written.body) > self._largest:
            return Outcome(delivered=False, reason=TOO_LARGE)
        seconds = now_ms // 1000
        headers = {
            **self._fixed,
            **written.headers,
            "webhook-id": written.id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": self._signer.signature(written.id, seconds, written.body),
        }
        try:
            answer = await self._receiver.request("POST", headers, written.body)
        except NoAnswer as error:
            return Outcome(delivered=False, reason=error.reason, receiver_ails=True)
        return outcome(answer, dt.datetime.fromtimestamp(seconds, dt.UTC))
