"""Teachers, encoders, students and segmenters on disk: safetensors, and model.json for all else; never a pickle.

Tensor files carry their content's digest in the name; `model.json` names the valid ones and is replaced
last, so that a reader sees the old model or the new one, never a mixture.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as tensors_from_bytes
from safetensors.numpy import save as tensors_to_bytes

from somray.domain.encoder import EncoderModel
from somray.domain.run import RunLayout
from somray.domain.segmenter import SegmenterModel
from somray.domain.student import StudentModel
from somray.domain.teacher import Codebook, TeacherModel
from somray.errors import StoreError
from somray.io.storage import Storage

__all__ = [
    "ENCODER_FILE",
    "drop_part",
    "encoder_bytes",
    "encoder_facts",
    "encoder_of",
    "read_encoder",
    "read_encoder_file",
    "read_model_info",
    "read_segmenter",
    "read_student",
    "read_teacher",
    "write_encoder",
    "write_segmenter",
    "write_student",
    "write_teacher",
]

ENCODER_FILE = "encoder.safetensors"
"""Of an encoder that left a run."""
ENCODER_KEY = "somray_encoder"
"""Of the header in which it tells all of itself."""
_REMEDY = "copy it again, or run the cohort anew"
_DAMAGED = f"is damaged; {_REMEDY}"


def read_model_info(storage: Storage, protocol: str) -> dict[str, Any]:
    """Return model.json, {} where there is none.

    Raises:
        StoreError: it is damaged.
    """
    name = f"{RunLayout.model(protocol)}/model.json"
    try:
        return dict(json.loads(storage.read_text(name)))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise StoreError(f"{storage.uri(name)}: {_DAMAGED} ({error})") from error


def _write(
    storage: Storage, protocol: str, part: str, tensors: dict[str, Any], facts: dict[str, Any]
) -> None:
    """Write the tensors of one part, then model.json, then sweep what it no longer names."""
    folder = RunLayout.model(protocol)
    data = tensors_to_bytes({k: np.ascontiguousarray(v) for k, v in sorted(tensors.items())})
    file = f"{part}-{hashlib.sha256(data).hexdigest()[:16]}.safetensors"
    storage.write_bytes(f"{folder}/{file}", data)
    info = read_model_info(storage, protocol)
    if part == "teacher":
        info.pop("student", None)  # they learned from another teacher
        info.pop("encoder", None)
    info[part] = {"file": file, **facts}
    _tell(storage, protocol, info)


def _tell(storage: Storage, protocol: str, info: dict[str, Any]) -> None:
    """Write model.json, then sweep what it does not name."""
    folder = RunLayout.model(protocol)
    storage.write_text(
        f"{folder}/model.json", json.dumps(info, indent=1, sort_keys=True, ensure_ascii=False)
    )
    valid = {"model.json"} | {part_info["file"] for part_info in info.values()}
    for name in storage.names(folder):
        if name not in valid:
            storage.remove(f"{folder}/{name}")


def drop_part(storage: Storage, protocol: str, part: str) -> None:
    """Remove a protocol's student, encoder or segmenter; nothing happens where there is none."""
    info = read_model_info(storage, protocol)
    if info.pop(part, None) is not None:
        _tell(storage, protocol, info)


def write_teacher(storage: Storage, protocol: str, model: TeacherModel) -> None:
    """Store a protocol's teacher; student and encoder of an earlier teacher are dropped."""
    book = model.codebook
    tensors: dict[str, Any] = {
        "weights": book.weights,
        "center": model.center,
        "scale": model.scale,
        "feature_weights": model.feature_weights,
        "node_classes": model.node_classes,
    }
    if book.hits is not None:
        tensors["hits"] = book.hits
    facts = {
        "grid": list(book.grid),
        "topology": book.topology,
        "wraps": book.wraps,
        "quantization_error": book.quantization_error,
        "topographic_error": book.topographic_error,
        "epochs_run": book.epochs_run,
        "modality": model.modality,
        "channels": list(model.channels),
        "windows": [list(w) for w in model.windows],
        "features": list(model.features),
        "class_names": {str(k): v for k, v in model.class_names.items()},
        "doubtful": dict(model.doubtful),
        "reasons": dict(model.reasons),
        "spacing_mm": list(model.spacing_mm),
        "extra": dict(model.extra),
        "smoothing_mm": model.smoothing_mm,
        "fitted_on": model.fitted_on,
        "reference": [list(r) for r in model.reference],
        "dimensions": model.dimensions,
        "denoise": model.denoise,
        "noise": [list(n) for n in model.noise],
    }
    _write(storage, protocol, "teacher", tensors, facts)


def read_teacher(storage: Storage, protocol: str) -> TeacherModel:
    """Load a protocol's teacher.

    Raises:
        StoreError: there is none.
    """
    info, tensors = _read(storage, protocol, "teacher")
    book = Codebook(
        weights=tensors["weights"],
        grid=(info["grid"][0], info["grid"][1]),
        topology=info["topology"],
        hits=tensors.get("hits"),
        quantization_error=info["quantization_error"],
        topographic_error=info["topographic_error"],
        wraps=info["wraps"],
        epochs_run=info.get("epochs_run"),
    )
    return TeacherModel(
        codebook=book,
        modality=info["modality"],
        channels=tuple(info["channels"]),
        windows=tuple((low, high) for low, high in info["windows"]),
        features=tuple(info["features"]),
        center=tensors["center"],
        scale=tensors["scale"],
        feature_weights=tensors["feature_weights"],
        node_classes=tensors["node_classes"],
        class_names={int(k): v for k, v in info["class_names"].items()},
        doubtful=info["doubtful"],
        reasons=info["reasons"],
        spacing_mm=(info["spacing_mm"][0], info["spacing_mm"][1]),
        extra=info["extra"],
        smoothing_mm=info.get("smoothing_mm"),
        fitted_on=info.get("fitted_on", ""),
        reference=tuple((subject, session, z) for subject, session, z in info.get("reference", [])),
        dimensions=info.get("dimensions", 2),  # models before 3D features have none
        denoise=info.get("denoise", "none"),  # nor did models of before know noise
        noise=tuple(tuple(n) for n in info.get("noise", [])),
    )


def write_encoder(storage: Storage, protocol: str, model: EncoderModel) -> None:
    """Store a protocol's pretrained encoder beside its teacher."""
    _write(storage, protocol, "encoder", dict(model.weights), encoder_facts(model))


def encoder_facts(model: EncoderModel) -> dict[str, Any]:
    """Return all of an encoder but its weights, JSON-able."""
    return {**_facts(model), "kinds": list(model.kinds)}


def encoder_of(facts: Mapping[str, Any], weights: Mapping[str, Any]) -> EncoderModel:
    """Join what `encoder_facts` gave and the weights."""
    return EncoderModel(weights=weights, kinds=tuple(facts["kinds"]), **_fields(facts))


def read_encoder(storage: Storage, protocol: str) -> EncoderModel:
    """Load a protocol's pretrained encoder.

    Raises:
        StoreError: there is none.
    """
    return encoder_of(*_read(storage, protocol, "encoder"))


def encoder_bytes(model: EncoderModel) -> bytes:
    """Return an encoder as one safetensors file that tells all of itself in its own header."""
    tensors = {name: np.ascontiguousarray(array) for name, array in sorted(model.weights.items())}
    told = json.dumps(encoder_facts(model), sort_keys=True, ensure_ascii=True)
    return bytes(tensors_to_bytes(tensors, metadata={"format": "pt", ENCODER_KEY: told}))


def read_encoder_file(location: str) -> EncoderModel:
    """Read an encoder that left a run: its folder, or `encoder.safetensors` itself.

    Raises:
        StoreError: there is none, or it is no encoder of somray.
    """
    folder, _, name = location.rstrip("/").rpartition("/")
    if not name.endswith(".safetensors"):
        folder, name = location, ENCODER_FILE
    try:
        data = Storage.at(folder or "/").read_bytes(name)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return encoder_of(json.loads(header["__metadata__"][ENCODER_KEY]), tensors_from_bytes(data))
    except FileNotFoundError:
        raise StoreError(f"{location}: there is no {name}; `somray export` writes one") from None
    except (KeyError, TypeError, ValueError, IndexError, SafetensorError) as error:
        raise StoreError(f"{location}: is no encoder of somray ({error})") from error


def write_student(storage: Storage, protocol: str, model: StudentModel) -> None:
    """Store a protocol's student beside its teacher."""
    facts = {**_facts(model), "temperature": model.temperature}
    _write(storage, protocol, "student", dict(model.weights), facts)


def read_student(storage: Storage, protocol: str) -> StudentModel:
    """Load a protocol's student.

    Raises:
        StoreError: there is none.
    """
    info, tensors = _read(storage, protocol, "student")
    temperature = float(info.get("temperature", 1.0))  # runs of before had none
    return StudentModel(weights=tensors, temperature=temperature, **_fields(info))


def write_segmenter(storage: Storage, protocol: str, model: SegmenterModel) -> None:
    """Store a protocol's segmenter; it depends on no teacher, so it outlives one."""
    own = {"kinds": list(model.kinds), "patch": model.patch, "temperature": model.temperature}
    facts = {**_facts(model), **own}
    _write(storage, protocol, "segmenter", dict(model.weights), facts)


def read_segmenter(storage: Storage, protocol: str) -> SegmenterModel:
    """Load a protocol's segmenter.

    Raises:
        StoreError: there is none.
    """
    info, tensors = _read(storage, protocol, "segmenter")
    return SegmenterModel(
        weights=tensors,
        kinds=tuple(info["kinds"]),
        patch=int(info["patch"]),
        temperature=float(info["temperature"]),
        **_fields(info),
    )


def _facts(model: EncoderModel | StudentModel | SegmenterModel) -> dict[str, Any]:
    """Return what every trained network tells of itself beside its weights, JSON-able."""
    return {
        "network": dict(model.network),
        "channels": list(model.channels),
        "windows": [list(w) for w in model.windows],
        "spacing_mm": list(model.spacing_mm),
        "target": model.target,
        "history": dict(model.history),
    }


def _fields(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a model that `_facts` told."""
    return {
        "network": facts["network"],
        "channels": tuple(facts["channels"]),
        "windows": tuple((low, high) for low, high in facts["windows"]),
        "spacing_mm": (facts["spacing_mm"][0], facts["spacing_mm"][1]),
        "target": facts["target"],
        "history": facts["history"],
    }


def _read(storage: Storage, protocol: str, part: str) -> tuple[dict[str, Any], dict[str, Any]]:
    info = read_model_info(storage, protocol).get(part)
    if info is None:
        raise StoreError(f"{storage.uri(RunLayout.model(protocol))}: holds no {part}")
    name = f"{RunLayout.model(protocol)}/{info['file']}"
    try:
        return info, dict(tensors_from_bytes(storage.read_bytes(name)))
    except FileNotFoundError:
        raise StoreError(f"{storage.uri(name)}: is missing; {_REMEDY}") from None
    except SafetensorError as error:
        raise StoreError(f"{storage.uri(name)}: {_DAMAGED} ({error})") from error
