"""The webhook sink as a kind of connector."""

from connectors.plugins.webhook.settings import WebhookConfig
from connectors.plugins.webhook.sink import WebhookSink
from connectors.runtime.plugin import Guarantee, Plugin

PLUGIN = Plugin(
    name="webhook",
    kind="sink",
    summary="Posts an inbox's events to a web service as signed CloudEvents, in order per key, with retries for a day.",
    config=WebhookConfig,
    build=WebhookSink,
    guarantee=Guarantee.AT_LEAST_ONCE,
    guarantee_because="an answer that is lost with the process or the network means that the event is sent again,"
    " under the webhook-id that it had before, by which a receiver drops repeats.",
    example="""\
url: https://events.health.example.go.id/lintas
origin: bus.example.go.id
secret_files: [/run/secrets/health-webhook]
""",
)
