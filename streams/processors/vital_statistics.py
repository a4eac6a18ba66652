"""Daily vital statistics for BPS: births, deaths and moves by province and day.

A system like any other: it reads its own inbox with its own credentials, and what it publishes is routed by agreement.
Why it is built so: docs/decisions/0003-vital-statistics.md.
"""

import logging
import os
import signal
import ssl
import time
from collections.abc import Iterator
from typing import Final

import faust
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from lintas_client.registry import Registry

from lintas import names
from lintas.connection import connection_of
from lintas.credentials import SASL_MECHANISM, aiokafka_options, load
from lintas.errors import MissingCredentials
from lintas.settings import Settings
from schemas.cluster import options
from streams.processors.faust_parts import OwnedApp, OwnedTable, OwnedTransport
from streams.processors.ledger import InboxRecord, Ledger
from streams.processors.watched import Watched
from streams.sole_owner import SoleOwner

log = logging.getLogger(__name__)

SYSTEM: Final = "bps.vital-statistics"
TABLE: Final = "counts"
INBOX: Final = names.inbox_topic(SYSTEM)
CHANGELOG: Final = names.table_topic(SYSTEM, TABLE)
ASK_SECONDS: Final = 2.0


def run(settings: Settings, log_level: str, watched: Watched) -> None:
    """Wait until the catalogue names the system and no other instance is at work, then count until stopped.

    Ends the process: 0 if it was stopped, 1 after any doubt; started again, it goes on from what was committed.
    """
    signal.signal(signal.SIGTERM, _end)
    wait_until_entitled(settings, watched)
    owner = SoleOwner(
        options(settings, SYSTEM),
        f"{SYSTEM}.owner",
        CHANGELOG,
        session_seconds=settings.session_timeout_seconds,
    )
    try:
        owner.wait(watched.waits)
        owner.watch(_end_where_lost)
        app = vital_statistics_app(settings, watched)
        worker = faust.Worker(app, loglevel=log_level, redirect_stdouts=False, override_logging=False, quiet=True)
        worker.spinner = None  # it is for terminals, and ends by writing to what is none
        worker.execute_from_commandline()
    finally:
        owner.close()


def vital_statistics_app(settings: Settings, watched: Watched) -> faust.App:
    """The Faust app.

    Raises:
        BadSettings, MissingCredentials: the bus cannot be reached with what is configured.
    """
    credentials = load(settings, SYSTEM)
    tls = ssl.create_default_context(cafile=settings.ca_file) if settings.security_protocol == "SASL_SSL" else None
    folder = settings.home / "faust" / SYSTEM  # Faust wants one, also where it keeps nothing in it
    folder.mkdir(parents=True, exist_ok=True)
    app = OwnedApp(
        SYSTEM,
        broker=";".join(f"kafka://{address.strip()}" for address in settings.brokers.split(",")),
        broker_credentials=faust.SASLCredentials(
            username=credentials.principal, password=credentials.password, mechanism=SASL_MECHANISM, ssl_context=tls
        ),
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=settings.session_timeout_seconds / 3,
        broker_request_timeout=30.0,
        broker_rebalance_timeout=10.0,
        consumer_auto_offset_reset="earliest",
        store="memory://",
        stream_recovery_delay=0.0,
        stream_wait_empty=False,
        topic_allow_declare=False,  # topics are the catalogue's to create
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
        datadir=str(folder),
    )
    app.transport = OwnedTransport(app.conf.broker_consumer, app)
    table = OwnedTable(
        app, name=TABLE, changelog_topic=app.topic(CHANGELOG, key_serializer="raw", value_serializer="raw")
    )
    app.tables.add(table)
    ledger = Ledger(
        settings,
        SYSTEM,
        table,
        CHANGELOG,
        options=aiokafka_options(settings, SYSTEM),
        registry=Registry(connection_of(settings, SYSTEM)),
        watched=watched,
    )
    app.owner = ledger
    app.service(ledger)
    inbox = app.topic(INBOX, value_type=bytes, value_serializer="raw", key_serializer="raw")

    @app.agent(inbox, name=f"{SYSTEM}.count", concurrency=1)  # type: ignore[untyped-decorator]  # faust ships no types
    async def count(stream: faust.Stream) -> None:
        """Pass records on in order. Faust's acks mean nothing: no position is committed here."""
        async for event in stream.noack().events():
            message = event.message
            await ledger.put(
                InboxRecord(
                    message.topic,
                    message.partition,
                    message.offset,
                    int(message.timestamp * 1000),
                    message.key,
                    message.value,
                    message.headers,
                )
            )

    return app


def wait_until_entitled(settings: Settings, watched: Watched) -> None:
    """Return once the catalogue in force has given the system its credentials and topics."""
    said = ""
    for reason in _missing(settings):
        if not reason:
            return
        watched.waits(reason)
        if reason != said:
            log.info("waiting: %s", reason)
            said = reason
        time.sleep(ASK_SECONDS)


def _missing(settings: Settings) -> Iterator[str]:
    """What is missing, each time it is asked; the last is nothing."""
    while True:
        try:
            found = AdminClient(options(settings, SYSTEM)).list_topics(timeout=10).topics
            missing = [topic for topic in (INBOX, CHANGELOG) if topic not in found]
            yield f"no catalogue in force gives {SYSTEM} the topic {missing[0]}" if missing else ""
        except MissingCredentials as error:
            yield f"no catalogue in force names {SYSTEM} ({error.details['path']} does not exist)"
        except KafkaException:
            yield f"{settings.brokers} does not let {SYSTEM} in"


def _end_where_lost(is_owner: bool) -> None:
    if not is_owner:
        log.warning("another processor has taken over")
        os.kill(os.getpid(), signal.SIGTERM)


def _end(*_: object) -> None:
    raise SystemExit(0)
