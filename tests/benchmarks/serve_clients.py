"""Clients that cost little, and what each part of a service takes: CPU seconds and memory, by process.

Clients, service and kernel share a machine's cores, so the clients' own CPU is told apart: it is no part of a service.
"""

import os
import socket
import time
from collections import Counter
from urllib.parse import urlsplit

import psutil

RETRY_SECONDS = 0.2
LARGE = 1 << 20  # bytes of a body that is held back until it is asked for, as curl does
PARTS = ("replica", "HAProxy", "Ray besides")
_END = b"\r\n\r\n"


class Client:
    """One connection that is kept, asks again where it is told to, and sends head and body in one call."""

    def __init__(self, url):
        self.place, self.line, self.room = urlsplit(url), None, bytearray(1 << 20)
        self.inside, self.again = [], Counter()

    def ask(self, path, sent, headers):
        """Return the body of the answer."""
        lines = [f"POST {self.place.path}{path} HTTP/1.1", f"Host: {self.place.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += ["Expect: 100-continue"] if len(sent) > LARGE else []
        head = "\r\n".join([*lines, f"Content-Length: {len(sent)}", "", ""]).encode()
        while True:
            try:
                status, told, data = self._talk(head, sent)
            except OSError as error:
                self.again[type(error).__name__] += 1
                self.close()
                time.sleep(RETRY_SECONDS)
                continue
            if status == 200:
                self.inside.append(float(told["somray-seconds"]))
                return data
            self.again[status] += 1
            assert status == 503, data
            time.sleep(float(told.get("retry-after", RETRY_SECONDS)))

    def close(self):
        if self.line is not None:
            self.line.close()
        self.line = None

    def _talk(self, head, sent):
        """Send a request, receive status, headers and body."""
        if self.line is None:
            place = self.place.hostname, self.place.port
            self.line = socket.create_connection(place, timeout=600)
            self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        is_held = len(sent) > LARGE
        self._send([head] if is_held else [head, sent])
        status, told, start, have = self._head()
        if status == 100:
            self._send([sent])
            status, told, start, have = self._head()
            is_held = False
        whole = start + int(told["content-length"])
        while have < whole:
            have = self._more(have)
        if is_held or told.get("connection", "").lower() == "close":
            self.close()
        return status, told, bytes(memoryview(self.room)[start:whole])

    def _send(self, parts):
        """Send parts in as few calls as there can be."""
        parts = [memoryview(part) for part in parts]
        while parts:
            gone = self.line.sendmsg(parts)
            while parts and gone >= len(parts[0]):
                gone -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][gone:]

    def _head(self):
        """Receive status and headers; return them, where the body begins, and how much is there."""
        have, end = 0, -1
        while end < 0:
            have = self._more(have)
            end = self.room.find(_END, 0, have)
        return *_head(bytes(memoryview(self.room)[:end]).decode("latin-1")), end + len(_END), have

    def _more(self, have):
        """Receive into the room behind what is there; return how much there is then."""
        if have == len(self.room):
            self.room.extend(bytes(have))
        count = self.line.recv_into(memoryview(self.room)[have:])
        if count == 0:
            raise ConnectionResetError
        return have + count


def _head(text):
    first, *lines = text.split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


def processes(service):
    """Yield part, name and process of all that a service runs."""
    for one in (psutil.Process(service.process.pid), *service.family()):
        try:
            words = " ".join(one.cmdline()) or one.name()
        except psutil.Error:
            continue
        name = words.split(" ")[0].rpartition("/")[2] if words.startswith("/") else words[:40]
        if "ServeReplica:somray-" in words:
            yield "replica", name, one
        elif "haproxy" in one.name():
            yield "HAProxy", name, one
        else:
            yield "Ray besides", name, one


class Costs:
    """CPU seconds of the parts of a service, and of this process, which is its clients."""

    def __init__(self, service):
        self._service, self.seconds = service, Counter()

    def __enter__(self):
        self._before = self._now()
        return self

    def __exit__(self, *_):
        for part, seconds in self._now().items():
            self.seconds[part] += seconds - self._before[part]

    def _now(self):
        found = Counter({"here": sum(os.times()[:2])})
        for part, _, one in processes(self._service) if self._service else ():
            try:
                spent = one.cpu_times()
            except psutil.Error:
                continue
            found[part] += spent.user + spent.system
        return found


def memory(service):
    """Resident MB of every process of a service, by its id: part, name, MB."""
    found = {}
    for part, name, one in processes(service):
        try:
            found[one.pid] = (part, name, one.memory_info().rss / 2**20)
        except psutil.Error:
            continue
    return found
