"""What the OpenAPI page says of the routes of a protocol."""

from typing import Any

from somray.commands.serve.bodies.arrays import DTYPES
from somray.commands.serve.settings import Limits
from somray.stages.answers.answer import NOT_CLINICAL

__all__ = ["scans", "slices"]

_BYTES = {"type": "string", "format": "binary"}
_HEADERS = {
    "Somray-Verdict": "ok, drifted or unknown: whether the teacher carries over to what was sent",
    "Somray-Warnings": "how many sentences speak against the answer",
    "Somray-Warning": "these sentences",
    "Somray-Target": "label and name of the target",
    "Somray-Target-Area-Mm2": "of each slice, the first 64",
    "Somray-Seconds": "from the request to the answer",
    "Somray-Use": NOT_CLINICAL,
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "retry_after_seconds": {"type": "integer"},
            },
        }
    },
}
_REFUSALS = {
    401: "no token, or another one",
    403: "not below a place that the service was started with, or asked from another host",
    404: "the scan that a uri names does not exist",
    406: "no such format of answers",
    413: "larger than the service takes",
    415: "a format that is not taken",
    422: "it cannot be used; the message says why",
    503: "the line is full, or a worker was lost: send it again after Retry-After; answers do not depend on it",
}
_AREA = {"type": "object", "additionalProperties": {"type": "number"}}
_FACTS = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": ["ok", "drifted", "unknown"]},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "doubts": {"type": "object", "additionalProperties": {"type": "string"}},
        "drift": {"type": ["object", "null"]},
        "classes": {"type": "object", "additionalProperties": {"type": "string"}},
        "target": {"type": "string"},
        "target_confidence": {"type": ["number", "null"]},
        "slices": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "t": {"type": "integer"},
                    "z": {"type": "integer"},
                    "area_mm2": _AREA,
                    "target_area_mm2": {"type": "number"},
                    "target_confidence": {"type": ["number", "null"]},
                },
            },
        },
        "volumes_ml": {"type": "array", "items": _AREA, "description": "of a scan, per time point"},
        "map_npy": {"type": "string", "description": "base64 of .npy, where `map=true`"},
        "use": {"type": "string"},
    },
}


def _query(name: str, about: str, kind: str = "string", *, needed: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": needed,
        "description": about,
        "schema": {"type": kind},
    }


def _responses(formats: dict[str, str]) -> dict[int | str, dict[str, Any]]:
    headers = {n: {"description": d, "schema": {"type": "string"}} for n, d in _HEADERS.items()}
    content: dict[str, Any] = {"application/json": {"schema": _FACTS}}
    for media, about in formats.items():
        content[media] = {"schema": {**_BYTES, "description": about}}
    refused = {"application/json": {"schema": _ERROR}}
    return {
        200: {"description": "The answer", "headers": headers, "content": content},
        **{code: {"description": text, "content": refused} for code, text in _REFUSALS.items()},
    }


def slices(limits: Limits) -> dict[str, Any]:  # Any: arguments of FastAPI
    """Describe `/slices`."""
    numbers = ", ".join(DTYPES)
    return {
        "summary": "Answer about one slice",
        "description": (
            f"The body is .npy, (y, x) or (c, y, x) in the protocol's channel order, of {numbers}, NaN for no data; "
            f"or a gray PNG of 8 or 16 bits. At most {limits.slice_pixels} pixels. `Accept` chooses the answer."
        ),
        "responses": _responses(
            {
                "application/x-npy": "class map (y, x) uint8",
                "application/zip": "answer.json, classes.npy, target.npy (1 inside), confidence.npy (percent)",
            }
        ),
        "openapi_extra": {
            "parameters": [
                _query("spacing_mm", "dy,dx: distance between pixels in mm", needed=True),
                _query("method", "som (direct transfer), student, or finetuned"),
                _query("level", "lesion level of uptake of the slice's scan, for PET", "number"),
                _query("map", "whether JSON holds the class map too", "boolean"),
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-npy": {"schema": _BYTES},
                    "image/png": {"schema": _BYTES},
                },
            },
        },
    }


def scans(limits: Limits) -> dict[str, Any]:  # Any: arguments of FastAPI
    """Describe `/scans`."""
    named = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "summary": "Answer about a whole scan",
        "description": (
            "The voxels are those of `somray apply`. JSON names a path or URL for each channel, below a place that the "
            "service was started with (--allow); a form has one file for each channel, under the channel's name: "
            "NIfTI, NRRD or MHA in one file, DICOM, or a zip of DICOM files. "
            f"At most {limits.max_mb} MiB and {limits.max_voxels} voxels."
        ),
        "responses": _responses(
            {
                "application/x-npy": "class map (t, z, y, x) uint8",
                "application/gzip": "one map as .nii.gz on the source's grid; `what` chooses it",
                "application/zip": "answer.json, classes.nii.gz, target.nii.gz, confidence.nii.gz (percent)",
            }
        ),
        "openapi_extra": {
            "parameters": [
                _query("method", "som (direct transfer), student, or finetuned"),
                _query("what", "of NIfTI: classes, target or confidence"),
                _query("map", "whether JSON holds the class map too", "boolean"),
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["uris"],
                            "properties": {"uris": named},
                        }
                    },
                    "multipart/form-data": {
                        "schema": {"type": "object", "additionalProperties": _BYTES}
                    },
                },
            },
        },
    }
