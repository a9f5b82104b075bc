"""Trouble that lies below somray: Python imports this at its start where the folder stands on PYTHONPATH.

What goes wrong stands in the JSON file that SOMRAY_TROUBLE names, and is looked at before each rename of a finished
file inside `root` (every writer's last step on a local disk) and at each look at the clock:
    full      no space is left
    flaky     every third rename fails with an error of input and output
    slow      every rename takes 50 ms
    deadly    the worker that writes what `name` stands in is killed
    hanging   the worker that writes what `name` stands in never comes back
    clock     the wall clock is `hours` behind
The product knows nothing of it.
"""

import errno
import faulthandler
import json
import os
import signal
import sys
import time

PLACE = os.environ.get("SOMRAY_TROUBLE", "")
IS_WORKER = any("default_worker" in argument for argument in getattr(sys, "orig_argv", ()))
_replace, _time = os.replace, time.time
_count = 0


def _trouble():
    try:
        with open(PLACE) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def _replacing(source, target, **where):
    global _count
    found = _trouble()
    kind, path = found.get("kind"), os.fspath(target)
    if kind and path.startswith(found["root"]):
        _count += 1
        if kind == "full":
            raise OSError(errno.ENOSPC, "No space left on device", path)
        if kind == "flaky" and _count % 3 == 0:
            raise OSError(errno.EIO, "Input/output error", path)
        if kind == "slow":
            time.sleep(0.05)
        if IS_WORKER and found.get("name", "/") in path:
            if kind == "deadly":
                os.kill(os.getpid(), signal.SIGKILL)
            while kind == "hanging":
                time.sleep(1)
    return _replace(source, target, **where)


def _clock():
    found = _trouble()
    return _time() - 3600 * found.get("hours", 0) if found.get("kind") == "clock" else _time()


if PLACE:
    faulthandler.register(signal.SIGUSR1)  # every thread of it tells where it stands
    os.replace, time.time = _replacing, _clock
