"""The marks of a scan's group: what stands complete, and what it says of itself.

Reads `zarr.json` alone, so asking costs one small file; of a scan that lies in its source, the links too.
"""

import json
from typing import Any

from somray.errors import StoreError
from somray.io.ome.links import check_links
from somray.io.ome.metadata import ScanMeta, scan_from_attributes
from somray.io.storage import Storage

__all__ = ["group_attributes", "is_complete", "linked", "read_meta"]


def group_attributes(storage: Storage, name: str) -> dict[str, Any] | None:
    """Return the attributes of a zarr group, None where there is none.

    Raises:
        StoreError: its `zarr.json` is damaged.
    """
    try:
        document = json.loads(storage.read_bytes(f"{name}/zarr.json"))
        return dict(document.get("attributes", {}))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, AttributeError) as error:
        raise StoreError(f"{storage.uri(name)}/zarr.json: is not JSON: {error}") from error


def is_complete(storage: Storage, name: str) -> bool:
    """Whether the scan's image stands, all of it."""
    attributes = group_attributes(storage, name) or {}
    return attributes.get("somray", {}).get("complete") is True


def linked(storage: Storage, name: str) -> dict[str, Any]:
    """Return what was noted of the source that a scan lies in; {} for one that is the run's own."""
    attributes = group_attributes(storage, name) or {}
    return dict(attributes.get("somray", {}).get("linked") or {})


def read_meta(storage: Storage, name: str) -> ScanMeta:
    """Read what a complete scan says of itself.

    Raises:
        StoreError: there is no complete scan of that name, its metadata is damaged, or it lies in a source that was
            changed or is gone.
    """
    place = storage.uri(name)
    attributes = group_attributes(storage, name)
    if attributes is None:
        raise StoreError(f"{place}: there is no scan")
    own = attributes.get("somray", {})
    if own.get("complete") is not True:
        raise StoreError(f"{place}: the scan is not complete; run again to write the rest")
    if links := own.get("linked"):
        check_links(storage, name, links)
    try:
        return scan_from_attributes(own)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise StoreError(f"{place}: attributes.somray is damaged: {error}") from error
