"""Teachers carried over from earlier runs: found, and checked, before anything starts."""

from pathlib import Path

from somray.config import CohortConfig, ProtocolConfig
from somray.errors import ConfigError
from somray.io.models import read_model_info
from somray.io.storage import Storage, is_url

__all__ = ["with_previous"]


def with_previous(config: CohortConfig, folder: Path) -> CohortConfig:
    """Resolve `teacher.previous` of every protocol against the configuration's folder.

    Raises:
        ConfigError: a run that is named holds no teacher of that protocol, or one that sees other
            channels or features; all such protocols are named.
    """
    protocols, faults = dict(config.protocols), []
    for name, protocol in config.protocols.items():
        previous = protocol.teacher.previous
        if previous is None:
            continue
        root = previous if is_url(previous) else str(folder / previous)
        fault = _fault(root, name, protocol)
        if fault is not None:
            faults.append(f"protocols.{name}.teacher.previous: {root} {fault}")
        teacher = protocol.teacher.model_copy(update={"previous": root})
        protocols[name] = protocol.model_copy(update={"teacher": teacher})
    if faults:
        raise ConfigError("\n".join(faults))
    return config.model_copy(update={"protocols": protocols})


def _fault(root: str, name: str, protocol: ProtocolConfig) -> str | None:
    """Say why a run's teacher cannot be carried over; None if it can."""
    info = read_model_info(Storage.at(root), name).get("teacher")
    if info is None:
        return f"holds no teacher of protocol {name!r}; name a finished run of this protocol"
    for what, old, new in (
        ("modality", info["modality"], protocol.modality),
        ("channels", info["channels"], protocol.channels),
        ("features", info["features"], list(protocol.teacher.feature_names)),
    ):
        if old != new:
            return f"has a teacher of {what} {old}, this protocol has {new}"
    return None
