"""The REST API: what is asked of connectors, answered from the topics of their systems, and written to them."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, Protocol

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.runtime import control
from connectors.runtime.plugin import Plugin
from connectors.runtime.rest import answers
from connectors.runtime.rest.errors import Refused, answering
from connectors.runtime.rest.reading import flag_of, json_object
from connectors.runtime.state import ConnectorsState, State, Target
from connectors.runtime.validation import Plugins, problems
from lintas.errors import ConnectorConflict, UnknownName
from schemas.connector_configs import Record
from schemas.model import ConnectorName
from schemas.suggestions import did_you_mean

ORIGIN: Final = "rest"
INITIAL: Final = {state.value: state for state in (State.RUNNING, State.PAUSED, State.STOPPED)}
EXPANDED: Final = ("status", "info")
_name: Final = TypeAdapter[str](ConnectorName)
_States = Mapping[str, ConnectorsState]


class Connectors(Protocol):
    """What the API needs of the runtime."""

    @property
    def plugins(self) -> Plugins:
        """Every kind of connector."""

    async def cluster_id(self) -> str:
        """Kafka's."""

    async def states(self) -> _States:
        """What the topic of each system says."""

    async def owned(self, system: str) -> bool:
        """Whether any runtime runs the system's connectors."""

    async def write(self, system: str, *records: Record) -> None:
        """Write to a system's topic; what it says is in its state when this returns."""


def rest_routes(runtime: Connectors) -> list[Route]:
    """Every route of the API."""
    api = _Api(runtime)
    handlers: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "/", api.root),
        ("GET", "/connectors", api.list_all),
        ("POST", "/connectors", api.create),
        ("GET", "/connectors/{name}", api.info),
        ("DELETE", "/connectors/{name}", api.delete),
        ("GET", "/connectors/{name}/config", api.config),
        ("PUT", "/connectors/{name}/config", api.put_config),
        ("GET", "/connectors/{name}/status", api.status),
        ("PUT", "/connectors/{name}/pause", api.aim(State.PAUSED, HTTPStatus.ACCEPTED)),
        ("PUT", "/connectors/{name}/resume", api.aim(State.RUNNING, HTTPStatus.ACCEPTED)),
        ("PUT", "/connectors/{name}/stop", api.aim(State.STOPPED, HTTPStatus.NO_CONTENT)),
        ("POST", "/connectors/{name}/restart", api.restart),
        ("GET", "/connectors/{name}/tasks", api.tasks),
        ("GET", "/connectors/{name}/tasks/{task:int}/status", api.task_status),
        ("POST", "/connectors/{name}/tasks/{task:int}/restart", api.restart_task),
        ("GET", "/connectors/{name}/offsets", api.offsets),
        ("DELETE", "/connectors/{name}/offsets", api.forget),
        ("GET", "/connectors/{name}/topics", api.topics),
        ("GET", "/connector-plugins", api.kinds),
        ("GET", "/connector-plugins/{plugin}/config", api.kind),
        ("PUT", "/connector-plugins/{plugin}/config/validate", api.validate),
    ]
    return [Route(path, answering(handler), methods=[method]) for method, path, handler in handlers]


class _Api:
    def __init__(self, runtime: Connectors) -> None:
        self._runtime = runtime

    @property
    def _plugins(self) -> Plugins:
        return self._runtime.plugins

    async def root(self, _: Request) -> Response:
        return JSONResponse(
            {"version": version("lintas"), "commit": "", "kafka_cluster_id": await self._runtime.cluster_id()}
        )

    async def list_all(self, request: Request) -> Response:
        expand = [one for one in request.query_params.getlist("expand") if one in EXPANDED]
        states = await self._runtime.states()
        found = sorted((name, system) for system, state in states.items() for name in state.configs)
        if not expand:
            return JSONResponse([name for name, _ in found])
        return JSONResponse(
            {
                name: {part: await self._part(part, name, system, states[system]) for part in expand}
                for name, system in found
            }
        )

    async def _part(self, part: str, name: str, system: str, state: ConnectorsState) -> dict[str, Any]:
        if part == "status":
            return answers.status(self._plugins, name, state, owned=await self._runtime.owned(system))
        return answers.info(self._plugins, name, system, state.configs[name])

    async def create(self, request: Request) -> Response:
        body = await json_object(request)
        name, config = body.get("name"), body.get("config")
        if not isinstance(name, str):
            raise Refused(HTTPStatus.BAD_REQUEST, "name must be a text: what the connector is called")
        if not isinstance(config, Mapping):
            raise Refused(HTTPStatus.BAD_REQUEST, "config must be an object: the settings of the connector")
        initial = body.get("initial_state", State.RUNNING.value)
        if not isinstance(initial, str) or initial not in INITIAL:
            raise Refused(HTTPStatus.BAD_REQUEST, f"initial_state must be one of {', '.join(INITIAL)}")
        states = await self._runtime.states()
        if any(name in state.configs for state in states.values()):
            raise Refused(HTTPStatus.CONFLICT, f"Connector {name} already exists")
        system = self._system_of(name, config, states)
        target = [] if INITIAL[initial] is State.RUNNING else [Target(INITIAL[initial]).record(name)]
        await self._runtime.write(system, *target, *self._configuring(name, config, states[system]))
        return await self._created(name, system, HTTPStatus.CREATED)

    async def put_config(self, request: Request) -> Response:
        name = request.path_params["name"]
        config = await json_object(request)
        states = await self._runtime.states()
        there = [system for system, state in states.items() if name in state.configs]
        system = self._system_of(name, config, states) if not there else _only(name, there)
        if there and config.get(answers.SYSTEM, system) != system:
            raise Refused(HTTPStatus.CONFLICT, f"Connector {name} belongs to {system}; delete it to give it to another")
        await self._runtime.write(system, *self._configuring(name, config, states[system]))
        return await self._created(name, system, HTTPStatus.OK if there else HTTPStatus.CREATED)

    async def _created(self, name: str, system: str, status: HTTPStatus) -> Response:
        state = (await self._runtime.states())[system]
        return JSONResponse(
            answers.info(self._plugins, name, system, state.configs[name]),
            status,
            headers={"Location": f"/connectors/{name}"},
        )

    def _system_of(self, name: str, config: Mapping[str, Any], states: _States) -> str:
        """Whose a new connector is: as it says, or the only system there is."""
        try:
            _name.validate_python(name)
        except ValidationError:
            raise Refused(
                HTTPStatus.BAD_REQUEST, "name must be of lower-case letters, digits and single dashes, at most 80"
            ) from None
        system = config.get(answers.SYSTEM, next(iter(states)) if len(states) == 1 else None)
        known = ", ".join(sorted(states)) or "none"
        if not isinstance(system, str):
            raise Refused(HTTPStatus.BAD_REQUEST, f"{answers.SYSTEM} says whose connector it is, one of: {known}")
        if system not in states:
            why = f"no connectors of {system} can be run here{did_you_mean(system, states)}; of these they can: {known}"
            raise Refused(HTTPStatus.BAD_REQUEST, why)
        return system

    def _configuring(self, name: str, config: Mapping[str, Any], state: ConnectorsState) -> list[Record]:
        kind, settings = config.get(answers.CLASS), answers.settings_of(config)
        if not isinstance(kind, str):
            raise Refused(HTTPStatus.BAD_REQUEST, f"{answers.CLASS} names the kind of connector, one of: {self._known}")
        if config.get("name", name) != name:
            raise Refused(HTTPStatus.BAD_REQUEST, "the name in the config must be the connector's")
        if found := problems(self._plugins, kind, settings):
            raise Refused(HTTPStatus.BAD_REQUEST, answers.told(found))
        return control.configuring(state, name, kind, settings, ORIGIN)

    @property
    def _known(self) -> str:
        return ", ".join(sorted(self._plugins))

    async def _found(self, request: Request) -> tuple[str, str, ConnectorsState]:
        """The connector that is asked about, its system, and what the system's topic says."""
        name = request.path_params["name"]
        states = await self._runtime.states()
        system = _only(name, [system for system, state in states.items() if name in state.configs])
        return name, system, states[system]

    async def info(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        return JSONResponse(answers.info(self._plugins, name, system, state.configs[name]))

    async def config(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        return JSONResponse(answers.config_of(name, system, state.configs[name]))

    async def status(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        return JSONResponse(await self._part("status", name, system, state))

    async def delete(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        await self._runtime.write(system, *control.deleting(state, name))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def aim(self, wanted: State, status: HTTPStatus) -> Callable[[Request], Awaitable[Response]]:
        async def aimed(request: Request) -> Response:
            name, system, state = await self._found(request)
            await self._runtime.write(system, *control.aiming(state, name, wanted))
            return Response(status_code=status)

        return aimed

    async def restart(self, request: Request) -> Response:
        """KIP-745: with parameters 202 and a status whose restarting parts say so, without them 204."""
        name, system, state = await self._found(request)
        flags = {flag: flag_of(request, flag) for flag in ("includeTasks", "onlyFailed")}
        await self._runtime.write(system, *control.restarting(state, name, only_failed=flags["onlyFailed"]))
        if not any(flag in request.query_params for flag in flags):
            return Response(status_code=HTTPStatus.NO_CONTENT)
        state = (await self._runtime.states())[system]
        return JSONResponse(await self._part("status", name, system, state), HTTPStatus.ACCEPTED)

    async def tasks(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        config = answers.config_of(name, system, state.configs[name])
        return JSONResponse([{"id": {"connector": name, "task": answers.TASK}, "config": config}])

    async def task_status(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        for task in (await self._part("status", name, system, state))["tasks"]:
            if task["id"] == request.path_params["task"]:
                return JSONResponse(task)
        raise Refused(HTTPStatus.NOT_FOUND, f"No status found for task {name}-{request.path_params['task']}")

    async def restart_task(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        if request.path_params["task"] != answers.TASK:
            raise Refused(HTTPStatus.NOT_FOUND, f"Unknown task: {name}-{request.path_params['task']}")
        await self._runtime.write(system, *control.restarting(state, name, only_failed=False))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def offsets(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        return JSONResponse(answers.offsets(name, system, state))

    async def forget(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        owned = await self._runtime.owned(system)
        records = control.forgetting_progress(state, name, self._plugins, owned=owned)
        await self._runtime.write(system, *records)
        return JSONResponse({"message": f"The offsets for connector {name} have been reset successfully"})

    async def topics(self, request: Request) -> Response:
        name, system, state = await self._found(request)
        return JSONResponse(answers.topics(self._plugins, name, system, state))

    async def kinds(self, _: Request) -> Response:
        return JSONResponse([answers.plugin(one) for _, one in sorted(self._plugins.items())])

    async def kind(self, request: Request) -> Response:
        return JSONResponse(answers.definitions(self._kind(request)))

    async def validate(self, request: Request) -> Response:
        one = self._kind(request)
        config = await json_object(request)
        if config.get(answers.CLASS, one.name) != one.name:
            raise Refused(HTTPStatus.BAD_REQUEST, f"{answers.CLASS} names another kind of connector than the address")
        return JSONResponse(answers.validated(self._plugins, one, config))

    def _kind(self, request: Request) -> Plugin:
        name = request.path_params["plugin"]
        if name not in self._plugins:
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no kind of connector {name}; known are: {self._known}")
        return self._plugins[name]


def _only(name: str, systems: list[str]) -> str:
    """The one system that has a connector."""
    if not systems:
        raise UnknownName(kind="connector", name=name, suggestion="GET /connectors lists them.")
    if len(systems) > 1:
        raise ConnectorConflict(
            connector=name,
            reason=f"{' and '.join(sorted(systems))} each have one of that name",
            remedy="`lintas connector` with --system tells them apart; give one another name.",
        )
    return systems[0]
