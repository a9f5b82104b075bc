"""Show a written neuroglancer state: `python -m somray.commands.view.serve RUN FOLDER`, until Ctrl-C.

With the Python package neuroglancer the page comes from this machine too; without it from a public host, which is
told nothing of the scans: the browser reads them from this machine's loopback.
"""

import contextlib
import importlib
import importlib.util
import json
import re
import sys
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from somray.commands.console import say
from somray.commands.view.programs import has_display
from somray.commands.view.server import Served, serving
from somray.commands.view.viewers.neuroglancer import HOST_PAGE, page_address
from somray.errors import ConfigError
from somray.io.storage import Storage

__all__ = ["main", "serve"]

_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/([\w-]+)")
_SCANS = re.compile(r"/(scans/[^/\"]+\.ome\.zarr)/")


def serve(run: str, folder: Path, until: Callable[[], object]) -> None:
    """Serve the scans of a state and its names in a folder, until a call returns or raises KeyboardInterrupt.

    Raises:
        ConfigError: there is no such state.
    """
    try:
        text = (folder / "state.json").read_text("utf-8")
        names = json.loads((folder / "names.json").read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{folder}: no state to show: {error}") from error
    found = _ADDRESS.search(text)
    if found is None:
        raise ConfigError(f"{folder / 'state.json'}: names no address on this machine")
    viewer = _own_viewer()
    page = HOST_PAGE if viewer is None else str(viewer.get_viewer_url())
    split = urlsplit(page)
    served = Served(
        Storage.at(run),
        tuple(sorted(set(_SCANS.findall(text)))),
        (f"{split.scheme}://{split.netloc}",),
        found[2],
        {name: json.dumps(value).encode() for name, value in names.items()},
    )
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(serving(served, int(found[1])))
        except OSError:  # another program has taken the port since
            server = stack.enter_context(serving(served))
        state = json.loads(text.replace(found[0], server.address))
        if viewer is None:
            page = page_address(HOST_PAGE, state)
            say(
                f"the page comes from {HOST_PAGE}, the scans stay on this machine ({server.address})"
            )
        else:
            viewer.set_state(importlib.import_module("neuroglancer").ViewerState(state))
        say(f"open {page}\nCtrl-C ends it")
        if has_display():
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            until()


def _own_viewer() -> Any:  # Any: neuroglancer has no types
    """Return a page of this machine, None where the package is not installed."""
    if importlib.util.find_spec("neuroglancer") is None:
        return None
    neuroglancer = importlib.import_module("neuroglancer")
    neuroglancer.set_server_bind_address("127.0.0.1")
    return neuroglancer.Viewer()


def main(arguments: list[str]) -> int:
    """Serve RUN FOLDER until Ctrl-C."""
    run, folder = arguments
    serve(run, Path(folder), threading.Event().wait)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
