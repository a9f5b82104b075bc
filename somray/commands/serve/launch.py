"""Start the service and keep it until it is stopped."""

import os
import signal
import socket
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from somray.commands.console import give, say
from somray.commands.serve.builders import parts_of
from somray.commands.serve.settings import Limits, Settings, is_loopback
from somray.commands.serve.verb import ready_text
from somray.commands.words import asked_protocols
from somray.errors import ConfigError, PlanError
from somray.io.run import open_run
from somray.io.storage import Storage, is_url
from somray.runtime.machine import available_cpus
from somray.runtime.on_ray.places import check_places
from somray.runtime.on_ray.serving.door import Door
from somray.stages.answers.answer import NOT_CLINICAL

__all__ = ["ServeRequest", "serve_run", "settings_of"]


@dataclass(frozen=True)
class ServeRequest:
    """What was asked for, as the options of the verb say.

    `protocols` are all where none is named, `threads` of each replica what there is, shared, where None;
    `certificate` is that of TLS, and its key; scans may be named below the places of `allow`.
    """

    run: str
    protocols: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    replicas: int = 1
    gpus: float = 0.0
    threads: int | None = None
    token_file: Path | None = None
    certificate: tuple[Path | None, Path | None] = (None, None)
    allow: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    address: str | None = None

    @property
    def door(self) -> Door:
        """Where requests come in.

        Raises:
            ConfigError: certificate or key are missing.
        """
        given = [file for file in self.certificate if file is not None]
        if len(given) == 1:
            raise ConfigError("--tls-cert and --tls-key belong together; give both")
        for file in given:
            if not file.is_file():
                raise ConfigError(f"{file}: there is no such file; correct --tls-cert or --tls-key")
        cert, key = (None if one is None else str(one.absolute()) for one in self.certificate)
        return Door(self.host, self.port, cert, key)


def settings_of(request: ServeRequest) -> Settings:
    """Return the settings of a service, checked before anything is started.

    Raises:
        ConfigError: the run has no such protocol or no teacher, or a token is missing.
        StoreError: there is no such run.
    """
    run = open_run(request.run)
    known = tuple(run.config.protocols)
    chosen = request.protocols or known
    for name in chosen:
        asked_protocols(known, name)
        if "teacher" not in run.model_info(name):
            raise ConfigError(
                f"{run.root}: protocol {name!r} has no teacher yet; let the run finish, or choose with --protocol"
            )
    threads = request.threads or max(1, available_cpus() // request.replicas)
    file = request.token_file
    settings = Settings(
        run=Storage.at(request.run).root,
        protocols=tuple(dict.fromkeys(chosen)),
        allow=tuple(one if is_url(one) else str(_folder(one)) for one in request.allow),
        limits=request.limits,
        threads=threads,
        gpus=request.gpus,
        token_file=None if file is None else str(file.expanduser().absolute()),
        needs_token=not is_loopback(request.host),
    )
    settings.token()
    return settings


def _folder(text: str) -> Path:
    """Return a folder that is allowed.

    Raises:
        ConfigError: there is none.
    """
    place = Path(text.removeprefix("file://")).expanduser().resolve()
    if not place.exists():
        raise ConfigError(f"--allow {text}: there is no such folder")
    return place


def serve_run(request: ServeRequest, as_json: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; what is under way then is finished.

    Raises:
        ConfigError: see `settings_of`.
        PlanError: the service does not start.
    """
    settings, door = settings_of(request), request.door
    named = (request.address or os.environ.get("RAY_ADDRESS", "")).strip()
    address = (
        None if named in ("", "local") else named
    )  # "local", as Ray itself calls an embedded one
    check_places(address)
    if address is None:
        _check_port(door)
    if not as_json:
        say(f"somray: starting {', '.join(settings.protocols)}")
    from somray.runtime.on_ray.serving.parts import serving

    cpus = 0.0 if address is None else float(settings.threads)
    parts = parts_of(settings, request.replicas, cpus)
    stop = _Stop()
    with ExitStack() as stack:
        stack.callback(stop.put_back)
        stop.listen()
        url = stack.enter_context(serving(parts, door, address, joined=stop.listen))
        listed = [
            {"protocol": name, "url": f"{url}/v1/protocols/{name}"} for name in settings.protocols
        ]
        found = {"url": url, "protocols": listed, "pid": os.getpid(), "use": NOT_CLINICAL}
        give(found, as_json, lambda: ready_text(found))
        stop.wait()
        if not as_json:
            say("somray: stopping; what is under way is finished")


def _check_port(door: Door) -> None:
    """See that nobody listens there yet, before Ray is started.

    Raises:
        PlanError: the port is taken, or the address is none of this machine's.
    """
    try:
        with socket.create_server(
            (door.host.strip("[]"), door.port),
            family=socket.AF_INET6 if ":" in door.host else socket.AF_INET,
        ):
            pass
    except OSError as error:
        raise PlanError(
            f"{door.host} port {door.port} cannot be listened at: {error.strerror or error}; give another --port, or "
            "correct --host"
        ) from error


class _Stop:
    """Takes SIGINT and SIGTERM: while the service starts they break that off, later they end it in good order."""

    def __init__(self) -> None:
        self._ended, self._is_ready = threading.Event(), False
        self._before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

    def listen(self) -> None:
        """Take signals; again after Ray has put handlers of its own there."""
        for kind in self._before:
            signal.signal(kind, self._take)

    def wait(self) -> None:
        """Wait for a signal."""
        self._is_ready = True
        self._ended.wait()

    def _take(self, *_: object) -> None:
        if not self._is_ready:
            raise KeyboardInterrupt
        self._ended.set()

    def put_back(self) -> None:
        """Put back what stood there before."""
        for kind, handler in self._before.items():
            signal.signal(kind, handler)
