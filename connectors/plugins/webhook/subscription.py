"""Keeps the receiver's permission: asked for at start and daily, given in the answer or later by a callback."""

from collections.abc import Callable
from typing import Any, Final

from connectors.plugins.webhook.answers import Answer, NoAnswer
from connectors.plugins.webhook.callback import Callback
from connectors.plugins.webhook.handshake import DAY_MS, Denied, Permission, cannot_say, permission, request_headers
from connectors.plugins.webhook.receiver import Receiver
from connectors.plugins.webhook.settings import WebhookConfig
from connectors.runtime.context import Context
from connectors.runtime.contract import Progress
from lintas.errors import ConnectorDisabled, ConnectorFailed

PERMISSION: Final = "permission"
_ASK_AGAIN_MS: Final = 5 * 60 * 1000  # while the receiver cannot be asked
_GONE: Final = 410


class Subscription:
    """Whether, and how often a minute, the receiver may be sent anything."""

    def __init__(
        self,
        config: WebhookConfig,
        context: Context,
        receiver: Receiver,
        progress: Progress,
        now_ms: Callable[[], int],
    ) -> None:
        """``progress`` holds the permission of earlier lives; one for another URL or origin counts for nothing."""
        self._config = config
        self._name = context.name
        self._log = context.log
        self._receiver = receiver
        self._now_ms = now_ms
        known = Permission.from_json(progress.get(PERMISSION))
        self._known = known if known and (known.url, known.origin) == (config.url, config.origin) else None
        self._next_ms = 0
        self._changed = False
        self._callback: Callback | None = None

    async def start(self, *, ask: bool) -> None:
        """Ask for permission; without ``ask`` only if none is known.

        Raises:
            ConnectorFailed: the receiver does not give it, or cannot be asked and has not given it of late.
            ConnectorDisabled: it is gone for good.
        """
        if self._config.callback_url is not None:
            self._callback = Callback.of(self._config, self._name, self._granted)
            try:
                await self._callback.start()
            except OSError as error:
                raise ConnectorFailed(
                    connector=self._name,
                    reason=f"nothing can listen at callback_listen ({self._config.callback_listen}): {error}",
                    remedy="choose an address of this machine that is free.",
                ) from None
        if ask or not self.permitted():
            await self.keep()

    async def keep(self) -> None:
        """Ask again, if it is time; raises as `start`."""
        if not self._config.handshake or self._now_ms() < self._next_ms:
            return
        try:
            answer = await self._ask()
        except NoAnswer as error:
            self._go_on_without(str(error))
            return
        if answer.status == _GONE:
            raise ConnectorDisabled(
                connector=self._name,
                reason="the receiver answered OPTIONS with 410: it wants nothing more",
                remedy="ask its owner; then set its new url, or `lintas connector restart`.",
            )
        if cannot_say(answer) and "webhook-allowed-origin" not in answer.headers:
            self._go_on_without(f"it answered OPTIONS with {answer.status}")
            return
        try:
            self._take(permission(answer, self._config.url, self._config.origin, self._rate(), self._now_ms()))
        except Denied as error:
            self._denied(error, answer)

    def permitted(self) -> bool:
        """Whether anything may be sent now."""
        return not self._config.handshake or self._known is not None

    def per_minute(self) -> int | None:
        """How many requests in any minute; None: no limit."""
        return self._rate() if self._known is None else self._known.per_minute

    def changes(self) -> dict[str, Any]:
        """What is new for the progress since the last call."""
        changed, self._changed = self._changed, False
        return {PERMISSION: self._known.to_json()} if changed and self._known is not None else {}

    async def stop(self) -> None:
        """Wait for callbacks no longer."""
        if self._callback is not None:
            await self._callback.stop()

    async def _ask(self) -> Answer:
        url = None if self._callback is None else self._callback.url
        return await self._receiver.request("OPTIONS", request_headers(self._config.origin, self._rate(), url))

    def _rate(self) -> int | None:
        return self._config.rate_per_minute

    def _take(self, given: Permission) -> None:
        self._known, self._changed, self._next_ms = given, True, given.due_ms()

    def _granted(self, per_minute: int | None) -> None:
        """The receiver called back."""
        self._log.info("the receiver has given its permission by callback")
        self._take(Permission(self._config.url, self._config.origin, per_minute, self._now_ms(), by_callback=True))

    def _denied(self, error: Denied, answer: Answer) -> None:
        withheld = "webhook-allowed-origin" not in answer.headers  # section 4.2: it may be about to call back
        if self._callback is not None and withheld:
            if self._known is not None and self._known.by_callback:
                self._next_ms = self._now_ms() + DAY_MS
                return
            self._known = None
            self._log.warning("the receiver has not given its permission; waiting for it to call back")
            self._next_ms = self._now_ms() + _ASK_AGAIN_MS
            return
        raise ConnectorFailed(
            connector=self._name,
            reason=f"the receiver does not permit {self._config.origin} to send: {error}",
            remedy="have it answer OPTIONS with WebHook-Allowed-Origin and WebHook-Allowed-Rate; if it is known to "
            "want these deliveries and cannot, set `handshake: false`.",
        )

    def _go_on_without(self, reason: str) -> None:
        """The receiver cannot be asked: what it said last counts for a while."""
        now_ms = self._now_ms()
        if self._known is None or not self._known.good_without_asking(now_ms):
            raise ConnectorFailed(
                connector=self._name,
                reason=f"the receiver cannot be asked for its permission: {reason}",
                remedy="it is asked again by itself. If it runs, check url, ca_file, allow_private and the way to it.",
            )
        self._log.warning("the receiver cannot be asked for its permission anew (%s); the last one counts", reason)
        self._next_ms = now_ms + _ASK_AGAIN_MS
