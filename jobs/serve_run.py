"""What a run fitted, as applications of a Ray Serve configuration file: import path `jobs.serve_run:app`.

cluster/serve/serve.yaml and cluster/kuberay/rayservice.yaml name it once for every protocol, and once for what lies
beside them (health, readiness, metrics). It serves nobody without a token.
"""

from collections.abc import Mapping
from typing import Any

from somray.commands.serve.builders import application_name, parts_of
from somray.commands.serve.launch import ServeRequest, settings_of
from somray.commands.serve.settings import Limits
from somray.errors import ConfigError

__all__ = ["app"]

_LIMITS = ("max_mb", "max_voxels", "waiting", "scans", "backlog")
_KNOWN = ("run", "protocol", "protocols", "allow", "threads", "gpus", "token_file", *_LIMITS)


def app(args: Mapping[str, Any]) -> Any:  # Any: values of YAML; an application of Ray Serve
    """Make one application.

    Args:
        args: `run`; `protocol` for a protocol's application, without it the one beside them, of `protocols` (all where
            left out); `allow`, `threads`, `gpus`, `token_file` and the limits as options of `somray serve`.

    Raises:
        ConfigError: an argument is unknown or wrong, or there is no token.
    """
    unknown = sorted(set(args) - set(_KNOWN))
    if unknown or "run" not in args:
        raise ConfigError(
            f"args: {', '.join(unknown) or 'run is missing'}; known are {', '.join(_KNOWN)}"
        )
    name = args.get("protocol")
    request = ServeRequest(
        run=str(args["run"]),
        protocols=(str(name),) if name else tuple(args.get("protocols", ())),
        host="0.0.0.0",  # pods ask each other
        gpus=float(args.get("gpus", 0)),
        threads=int(args.get("threads", 1)),
        token_file=args.get("token_file"),
        allow=tuple(args.get("allow", ())),
        limits=Limits(**{key: int(args[key]) for key in _LIMITS if key in args}),
    )
    from somray.runtime.on_ray.serving.parts import application_of

    settings = settings_of(request)
    wanted = application_name(str(name)) if name else "somray"
    parts = parts_of(settings, cpus=float(settings.threads))
    return application_of(next(part for part in parts if part.name == wanted))
