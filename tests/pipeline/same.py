"""Compare two runs bit for bit, measured times left out."""

from pathlib import Path

import pandas as pd
import zarr

MEASURED = {"timings": None, "training": ["seconds"]}  # whole table, or columns


def _tables(root):
    found = {}
    for folder in sorted((Path(root) / "tables").iterdir()):
        measured = MEASURED.get(folder.name, [])
        if measured is not None:
            found[folder.name] = pd.read_parquet(folder).drop(columns=measured)
    return found


def _arrays(root):
    found = {}
    for scan in sorted((Path(root) / "scans").glob("*.ome.zarr")):
        group = zarr.open_group(scan, mode="r")
        for path in ("0", "labels/som/0", "labels/student/0", "labels/objects/0",
                     "labels/lesions/0"):  # fmt: skip
            found[f"{scan.name}/{path}"] = group[path][:].tobytes() if path in group else None
    return found


def _models(root):
    files = sorted((Path(root) / "models").rglob("*.safetensors"))
    return {str(f.relative_to(root)): f.read_bytes() for f in files}


def differences(one, other):
    """Name what differs between two runs."""
    found = []
    for kind in (_arrays, _models):
        first, second = kind(one), kind(other)
        found += [k for k in sorted(first.keys() | second.keys()) if first.get(k) != second.get(k)]
    first, second = _tables(one), _tables(other)
    found += [t for t in first if not first[t].equals(second[t])]
    return found
