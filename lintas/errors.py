"""Every error that a user of the bus can meet.

LintasError
├── BadSettings            a setting is missing or contradicts another
├── MissingCredentials     no credentials file for a principal
├── BusUnavailable         Kafka, the registry or PostgreSQL does not answer
│   └── RegistryError      the registry refused a request
├── LocalBusError          the bus on this machine could not be started or stopped
│   ├── DownloadRefused    a downloaded part does not match its checksum
│   ├── BusAlreadyRunning  another supervisor owns the directory
│   ├── BusNotRunning      nothing runs in the directory
│   └── PartFailed         a part of the bus died and could not be restarted
├── CatalogueError         the catalogue cannot be used
│   ├── InvalidCatalogue   validation found problems
│   ├── CatalogueMoved     somebody else applied a catalogue in between
│   ├── LanesBehind        a catalogue is in force that lanes do not report
│   ├── PositionGone       an event type comes back whose position is lost
│   └── NoCatalogue        nothing has been applied yet
├── UnknownName            a name that the catalogue does not hold
├── LaneStopped            a lane must not go on without a person
│   └── OffsetLost         the committed position of a known partition is gone
├── NoLanes                the bus has no lanes yet
├── LanePlansBroken        nobody can tell how many lanes there are
├── ResizeOvertaken        somebody else changed the number of lanes meanwhile
├── ResizeBehind           the number of lanes is changed, but some do not run
├── RefusedAgain           what waits for an agreement is refused as before
├── NotResumed             an agreement has not been given everything that waits for it yet
├── NotRedriven            dead letters have not been given again yet
├── ReplayWaits            a replay cannot go on for now
├── NothingToReplay        no agreement gives the consumer such events
├── RequestRefused         the bus refused what a system asked of it
├── ProcessorStopped       a processor must not go on
│   ├── OwnershipLost      another instance does its work
│   └── TableLost          its table is empty, though it has counted before
├── ConnectorFailed        a connector cannot go on for now
├── ConnectorConflict      what is asked of a connector does not go with how it is
├── InvalidConnector       a connector's configuration is not right
│   └── ConnectorDisabled  it may not go on until a person says so
└── PublishRefused         events that were not published

The exception's docstring is its message: what happened, the likely cause, the remedy. Placeholders in braces are
filled from the keyword arguments, which are also attributes of the exception.
"""

import inspect
from typing import Any, ClassVar


class LintasError(Exception):
    """Something went wrong on the bus."""

    exit_code: ClassVar[int] = 1

    def __init__(self, **details: Any) -> None:
        """Keep ``details`` as attributes and fill the docstring's placeholders with them."""
        self.details = details
        for name, value in details.items():
            setattr(self, name, value)
        super().__init__(inspect.cleandoc(type(self).__doc__ or "").format(**details))


class BadSettings(LintasError):
    """The setting {name} cannot be used: {reason}.

    Likely cause: a typing error in the environment, or no bus is running in this directory.
    Remedy: {remedy}
    """

    exit_code = 2


class MissingCredentials(LintasError):
    """There are no credentials for {principal}: {path} does not exist.

    Likely cause: the system is not in the catalogue in force, or its credentials were delivered elsewhere.
    Remedy: apply the catalogue (`lintas catalogue apply`), or point LINTAS_SECRETS_DIR at the folder that holds them.
    """


class BusUnavailable(LintasError):
    """{part} does not answer at {address}: {reason}.

    Likely cause: the bus is not running, or the address is wrong.
    Remedy: `lintas status` shows what runs here; `lintas up` starts a bus; LINTAS_* settings point at another one.
    """


class RegistryError(BusUnavailable):
    """The schema registry at {address} refused: {reason}.

    Likely cause: the schema is not valid or not compatible with what is registered, or the registry lost its storage.
    Remedy: run `lintas catalogue validate`, then look at the registry's log.
    """


class LocalBusError(LintasError):
    """The local bus cannot go on: {reason}.

    Remedy: {remedy}
    """


class DownloadRefused(LocalBusError):
    """{artefact} does not match its checksum: expected sha256 {expected}, found {found}.

    Likely cause: the download was cut short, or the file was changed after it was pinned.
    Remedy: run the command again (the damaged file has been removed). If it happens again, do not use the file:
    compare the lock file with the publisher's checksums.
    """


class BusAlreadyRunning(LocalBusError):
    """A bus is already running in {home} (supervisor process {pid}).

    Remedy: use it, or stop it with `lintas down`.
    """


class BusNotRunning(LocalBusError):
    """No bus is running in {home}.

    Remedy: start one with `lintas up`.
    """


class PartFailed(LocalBusError):
    """{part} stopped ({reason}) and did not come back after {attempts} attempts.

    Likely cause: see the end of {log}:
    {log_end}
    Remedy: mend what the log says, then `lintas up`. `lintas doctor` checks the usual causes.
    """


class CatalogueError(LintasError):
    """The catalogue cannot be used: {reason}."""


class InvalidCatalogue(CatalogueError):
    """The catalogue has {count} problem(s); nothing was changed.

    {report}
    """


class CatalogueMoved(CatalogueError):
    """The catalogue in force is {found}, not {expected} as when this apply began; nothing was published.

    Likely cause: somebody else applied a catalogue at the same time.
    Remedy: look at `lintas catalogue diff` and apply again.
    """


class LanesBehind(CatalogueError):
    """Catalogue {digest} is in force, but after {seconds} s lane(s) {behind} of {lanes} do not report it.

    Likely cause: no worker runs, or a lane has stopped. Lanes that run nothing release nothing.
    Remedy: `lintas lanes show`, and the workers' logs.
    """


class PositionGone(CatalogueError):
    """{topic} [{partition}] holds events, but the lanes' position in it is gone, so nobody knows which were delivered.

    Likely cause: the event type was out of the catalogue for longer than the broker keeps positions.
    Remedy: `lintas lanes restore {topic} {partition}` sets the position from the audit log; then apply again.
    """


class NoCatalogue(CatalogueError):
    """No catalogue has been applied to this bus yet.

    Remedy: `lintas catalogue apply DIR`.
    """


class UnknownName(LintasError):
    """There is no {kind} called {name}.

    {suggestion}
    """

    exit_code = 2


class LaneStopped(LintasError):
    """Lane {lane} has stopped: {reason}.

    Remedy: {remedy}
    """


class OffsetLost(LaneStopped):
    """Lane {lane} has stopped: the committed position of {topic} [{partition}] is gone.

    Likely cause: no lane recommitted it within the broker's offsets.retention.minutes (seven days by default), for
    example because every worker was down for so long. The lane does not guess: from the beginning it would deliver
    twice, from the end it would lose events.
    Remedy: `lintas lanes restore {topic} {partition}` sets the position from the audit log; the lane then goes on.
    """


class NoLanes(LintasError):
    """This bus has no lanes yet.

    Remedy: `lintas up`, or `lintas catalogue apply DIR`: both make what a bus needs.
    """


class LanePlansBroken(LintasError):
    """The topic lintas.lanes.plans says how many lanes there are, and it cannot be used: {reason}.

    Likely cause: somebody deleted the topic or wrote to it. No lane starts: two numbers of lanes at once would deliver
    events twice.
    Remedy: stop every worker, restore the topic from a copy, start them again.
    """


class ResizeOvertaken(LintasError):
    """{author} changed the number of lanes to {lanes} (generation {generation}) while this command asked for {asked}.

    Likely cause: two people resize at the same time.
    Remedy: agree, look at `lintas lanes show`, and resize again if {lanes} is not what you want.
    """


class ResizeBehind(LintasError):
    """The bus has {lanes} lanes now (generation {generation}), but after {seconds} s lane(s) {behind} do not run.

    Likely cause: no worker runs, or a lane has stopped. Nothing is lost meanwhile: events wait in their topics.
    Remedy: `lintas lanes show`, and the workers' logs. The resize itself is done: there is no need to repeat it.
    """


class RefusedAgain(LintasError):
    """Agreement {agreement} is set aside again: {reason}.

    Likely cause: what it was set aside for has not been mended.
    Remedy: mend it (`lintas catalogue apply` restores topics and their limits), then resume again.
    Nothing is lost meanwhile: its events wait.
    """


class NotResumed(LintasError):
    """After {seconds} s, events of {partitions} input partition(s) still wait for agreement {agreement}.

    Likely cause: much waits, a lane has stopped, or the agreement is not in force. Lanes go on with it by themselves.
    Remedy: `lintas lanes show` tells from which offset on events wait, and how lanes fare.
    """


class NotRedriven(LintasError):
    """After {seconds} s, {letters} letter(s) have not been given again.

    Likely cause: they are many, or a lane has stopped. Lanes go on with it by themselves.
    Remedy: `lintas lanes show`. There is no need to ask again, and no harm in it.
    """


class ReplayWaits(LintasError):
    """Replay {number} cannot go on for now: {reason}.

    It goes on by itself once its agreements are in force and not set aside.
    Remedy: `lintas agreement resume` for one that is set aside; `lintas replay {system} --cancel` ends it.
    """


class NothingToReplay(LintasError):
    """Nothing can be replayed for {system}: {reason}.

    Remedy: `lintas agreement list` shows what it is entitled to, and from when until when.
    """


class RequestRefused(LintasError):
    """{message}"""  # noqa: D415  the message is the client's own


class ProcessorStopped(LintasError):
    """{system} has stopped: {reason}."""


class OwnershipLost(ProcessorStopped):
    """{system} has stopped: {topic} is in other hands, in whole or in part.

    Likely cause: another instance is at work, or this one was silent for too long.
    Remedy: none is needed; started again, it waits for the other one or goes on where it was.
    """


class TableLost(ProcessorStopped):
    """{system} has stopped: its table {topic} is empty, but it has counted events of its inbox before.

    Likely cause: the topic was deleted and created anew. The processor does not begin again by itself: versions that
    it published would come a second time with other counts.
    Remedy: restore {topic} from a copy. Or, if consumers are told that versions begin again, delete the positions of
    group {system} (`kafka-consumer-groups --delete --group {system}`) and start it.
    """


class ConnectorFailed(LintasError):
    """The connector {connector} cannot go on: {reason}.

    Remedy: {remedy}
    """


class ConnectorDisabled(ConnectorFailed):
    """The connector {connector} may not go on until a person says so: {reason}.

    Remedy: {remedy}
    """


class ConnectorConflict(LintasError):
    """Nothing was done to the connector {connector}: {reason}.

    Remedy: {remedy}
    """


class InvalidConnector(LintasError):
    """The configuration of the connector {connector} has {count} problem(s); nothing was changed.

    {report}
    """


class PublishRefused(LintasError):
    """{rejected} of {total} events were not published; the others were.

    {report}
    """
