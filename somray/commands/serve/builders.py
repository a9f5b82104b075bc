"""What travels to the replicas: how each makes its application there, with its models read and warm."""

from dataclasses import dataclass
from typing import Any

from somray.commands.serve.settings import Settings

__all__ = ["ProtocolBuilder", "RootBuilder", "application_name", "parts_of"]


def application_name(protocol: str) -> str:
    """Return the name of a protocol's application in Ray Serve."""
    return f"somray-{protocol}"


@dataclass(frozen=True)
class ProtocolBuilder:
    """Makes the application of one protocol."""

    settings: Settings
    protocol: str

    def __call__(self) -> Any:  # Any: an ASGI application
        """Read the models, wake what is compiled, and return what answers."""
        from somray.commands.serve.web.meter import LATENCY_BOUNDS
        from somray.commands.serve.web.protocol import protocol_application
        from somray.commands.serve.web.service import ProtocolService
        from somray.io.run import open_run
        from somray.runtime.on_ray.serving.counts import RayMeter
        from somray.stages.answers.fitted import load_fitted

        settings = self.settings
        fitted = load_fitted(open_run(settings.run), self.protocol, gpu=settings.gpus > 0)
        fitted.warm()
        meter = RayMeter(self.protocol, LATENCY_BOUNDS)
        return protocol_application(ProtocolService(fitted, settings, meter), settings)


@dataclass(frozen=True)
class RootBuilder:
    """Makes the application beside those of the protocols."""

    settings: Settings

    def __call__(self) -> Any:  # Any: an ASGI application
        """Return what answers."""
        from somray.commands.serve.web.root import root_application
        from somray.runtime.on_ray.serving.counts import exported_counts
        from somray.runtime.on_ray.serving.parts import ready_parts

        def ready() -> dict[str, bool]:
            found = ready_parts()
            return {p: found.get(application_name(p), False) for p in self.settings.protocols}

        return root_application(self.settings, ready, exported_counts)


def parts_of(settings: Settings, replicas: int = 1, cpus: float = 0.0) -> list[Any]:
    """Return the parts of a service (`serving.parts.ServicePart`): one for each protocol, one for all."""
    from somray.commands.serve.web.root import protocol_path
    from somray.runtime.on_ray.serving.parts import ServicePart

    limits = settings.limits
    found = [
        ServicePart(
            application_name(name),
            protocol_path(name),
            ProtocolBuilder(settings, name),
            replicas,
            cpus,
            settings.gpus,
            requests=settings.threads + limits.waiting + limits.scans,
        )
        for name in settings.protocols
    ]
    return [*found, ServicePart("somray", "/", RootBuilder(settings))]
