"""Models carried over from earlier runs, teachers and encoders: found, and checked, before anything starts."""

from collections.abc import Callable
from pathlib import Path

from somray.config import CohortConfig, ProtocolConfig
from somray.domain.channel import channels_of, kinds_of
from somray.errors import ConfigError, StoreError
from somray.io.models import read_encoder_file, read_model_info
from somray.io.storage import Storage, is_url
from somray.kernels.objects.scan_rule import rule_for
from somray.stages.student.lessons import sees_volumes

__all__ = ["with_previous"]


def with_previous(config: CohortConfig, folder: Path) -> CohortConfig:
    """Resolve `teacher.previous` and `student.encoder` of every protocol against the configuration's folder.

    Raises:
        ConfigError: a run that is named holds no teacher of that protocol, or one that sees other channels or
            features; an encoder is none, or fits no student of the protocol; all such protocols are named.
    """
    protocols, faults = dict(config.protocols), []
    for name, protocol in config.protocols.items():
        encoder = None if protocol.starts_pretrained else protocol.student.encoder
        named: list[tuple[str, str, str | None, Callable[[str, str, ProtocolConfig], str | None]]]
        named = [
            ("teacher", "previous", protocol.teacher.previous, _teacher_fault),
            ("student", "encoder", encoder, _encoder_fault),
        ]
        for part, key, given, look in named:
            if given is None:
                continue
            root = given if is_url(given) else str(folder / given)
            fault = look(root, name, protocol)
            if fault is not None:
                faults.append(f"protocols.{name}.{part}.{key}: {fault}")
            changed = getattr(protocols[name], part).model_copy(update={key: root})
            protocols[name] = protocols[name].model_copy(update={part: changed})
    if faults:
        raise ConfigError("\n".join(faults))
    return config.model_copy(update={"protocols": protocols})


def _teacher_fault(root: str, name: str, protocol: ProtocolConfig) -> str | None:
    """Say why a run's teacher cannot be carried over; None if it can."""
    info = read_model_info(Storage.at(root), name).get("teacher")
    if info is None:
        return f"{root} holds no teacher of protocol {name!r}; name a finished run of this protocol"
    for what, old, new in (
        ("modality", info["modality"], protocol.modality),
        ("channels", info["channels"], protocol.channels),
        ("features", info["features"], list(protocol.teacher.feature_names)),
    ):
        if old != new:
            return f"{root} has a teacher of {what} {old}, this protocol has {new}"
    return None


def _encoder_fault(root: str, name: str, protocol: ProtocolConfig) -> str | None:
    """Say why a student cannot start from an encoder; None if it can."""
    try:
        model = read_encoder_file(root)
    except StoreError as error:
        return str(error)
    channels = tuple(protocol.channels)
    kinds = kinds_of(channels_of(protocol.modality, channels))
    volumes = sees_volumes(rule_for(protocol.modality, channels))
    kind = model.network.get("kind")
    if kind != "unet":
        return f"{root} is an encoder of kind {kind!r}; a student is a U-Net and starts from one of kind 'unet'"
    if model.kinds != kinds:
        return f"{root} sees {', '.join(model.kinds)}; this protocol has {', '.join(kinds)}"
    if model.sees_volumes != volumes:
        old, new = ("volumes" if one else "slices" for one in (model.sees_volumes, volumes))
        return f"{root} sees {old}; a student of this protocol sees {new}"
    return None
