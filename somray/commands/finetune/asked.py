"""Finetune a run as a person asks for it, and say what came of it."""

from typing import Any

from somray.commands.console import say
from somray.commands.finetune.words import conclusions
from somray.commands.words import meant
from somray.errors import ConfigError
from somray.io.run import open_run
from somray.pipeline.finetune.request import DEVICES, FinetuneRequest
from somray.pipeline.finetune.train import finetune_protocols

__all__ = ["finetune_run"]


def finetune_run(location: str, request: FinetuneRequest) -> dict[str, Any]:  # Any: JSON
    """Train and judge segmenters of a run.

    Returns:
        What `finetune_protocols` tells, with `says` of every protocol: sentences for people.

    Raises:
        ConfigError: unknown protocol or device, no scan with a truth, or the run is under way.
        DataError: there is nothing to learn from.
        StoreError: the run cannot be read or written.
    """
    if request.device not in DEVICES:
        near = meant(request.device, DEVICES)
        raise ConfigError(f"--device {request.device!r}: expected {', '.join(DEVICES)}{near}")
    run = open_run(location)
    known = list(run.config.protocols)
    if request.protocol is not None and request.protocol not in known:
        near = meant(request.protocol, known)
        raise ConfigError(f"--protocol {request.protocol!r}: the run has {', '.join(known)}{near}")
    asked = known if request.protocol is None else [request.protocol]
    found = finetune_protocols(run, asked, request, lambda text: say(f"somray: {text}"))
    for facts in found["protocols"].values():
        facts["says"] = conclusions(facts)
    return found
