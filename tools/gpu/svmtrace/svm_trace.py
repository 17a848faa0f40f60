# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Recordings of GPU SVM's tracepoints, as text.

What `trace-cmd report`, `perf script` and the file trace of tracefs print differs in
what comes before the event's name, and is read alike. An event ends what it is about
and says how long that took, so each is a span of time.
"""

import re

LINE = re.compile(
    r"\s*(?P<comm>\S.*?)(?:-|\s+)(?P<task>\d+)\s+(?:\(\s*[-\d]+\)\s+)?\[(?P<cpu>\d+)\]\s+"
    r"(?:[^\s:\d]\S{3,7}\s+)?(?P<seconds>\d+)\.(?P<fraction>\d+):\s+"
    r"(?:\w+:)?(?P<name>\w+):\s+(?P<text>.*)")
FIELD = re.compile(r"(\w+)=(\S+)")
INTERVAL = re.compile(r"\[(0x[0-9a-f]+)(?:-|, )(0x[0-9a-f]+)\)")
FAULT = re.compile(r"device (\d+) \((.*?)\), (\w+) at (0x[0-9a-f]+)"
                   r"(?:: (-?\d+) after (\d+) tries)?")
NANOSECONDS = re.compile(r"(\d+) ns$")


class Event:
    """A line: what happened, to whom, from begin to end, in nanoseconds."""

    def __init__(self, match):
        self.comm = match["comm"]
        self.task = int(match["task"])
        self.name = match["name"]
        self.text = match["text"]
        self.end = int(match["seconds"]) * 10**9 + int(match["fraction"].ljust(9, "0"))
        self.fields = dict(FIELD.findall(self.text))
        self.svm = self.fields.get("svm")
        self.pid = int(self.fields.get("pid", 0))
        self.dev = self.fields.get("dev")
        self.begin = self.end - self._duration()
        self.start = self.stop = None
        if interval := INTERVAL.search(self.text):
            self.start, self.stop = (int(address, 16) for address in interval.groups())
        if fault := FAULT.search(self.text):
            self.dev = fault[2]
            self.access = fault[3]
            self.addr = int(fault[4], 16)
            self.err = int(fault[5] or 0)
        elif self.name == "drm_gpusvm_fault":
            self.access = "read" if " read " in self.text else "write"
            self.addr = int(self.fields["addr"], 16)
            self.err = min(int(self.fields["result"]), 0)

    def _duration(self):
        if "duration" in self.fields:
            return int(self.fields["duration"])
        match = NANOSECONDS.search(self.text)
        return int(match[1]) if match else 0

    @property
    def size(self):
        return self.stop - self.start

    def within(self, other):
        return (self.task == other.task and other.begin <= self.begin and
                self.end <= other.end)


def read(lines):
    """The events of a recording, in the order in which they ended.

    Who an address space belongs to is not said by all of its events.
    """
    events = [Event(match) for match in map(LINE.match, lines) if match]
    events.sort(key=lambda event: event.end)
    owner = {}
    for event in events:
        if event.svm and event.pid:
            owner[event.svm] = event.pid
        elif event.svm:
            event.pid = owner.get(event.svm, 0)
    return events


class Fault:
    """A device's fault, and what was done about it."""

    def __init__(self, end, lookups, get, steps):
        self.end_event = end
        self.begin = end.begin
        self.end = end.end
        self.lookups = lookups
        self.get = get
        self.steps = steps

    @property
    def duration(self):
        return self.end - self.begin


def faults(events):
    """Yield the faults: those that a driver reports, and those of other drivers, which
    are from the lookup of the range to when its pages are mapped."""
    by_task = {}
    reporting = {event.svm for event in events if event.name == "vsvm_fault_end"}
    for event in events:
        seen = by_task.setdefault(event.task, [])
        if event.name == "vsvm_fault_end":
            inside = [other for other in seen if other.within(event)]
            gets = [other for other in inside if other.name == "drm_gpusvm_get_pages"]
            yield Fault(event,
                        [other for other in inside if other.name == "drm_gpusvm_fault"],
                        gets[-1] if gets else None, inside)
            seen.clear()
        elif event.name == "drm_gpusvm_get_pages" and event.svm not in reporting:
            lookups = [other for other in seen
                       if other.name == "drm_gpusvm_fault" and other.svm == event.svm]
            if lookups and event.comm.startswith("kworker"):
                yield Fault(derived(event, lookups[-1]), lookups[-1:], event, seen[:])
            seen.clear()
        else:
            seen.append(event)


def derived(get, lookup):
    """A fault that no driver reports, as if one did."""
    fault = object.__new__(Event)
    fault.__dict__.update(get.__dict__, name="fault", begin=lookup.begin,
                          access=lookup.access, addr=lookup.addr,
                          err=int(get.fields["result"]))
    return fault
