#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The same events by the tools that print them, and the faults that they are of."""

import unittest

import svm_trace

SVM = "vsvm-6 svm=0xffff8b77409a2800 pid=134"
FAULT = "vsvm-6: svm=0xffff8b77409a2800 device 0 (vsvm-0), atomic at 0x7fce85031000"
EVENTS = (
    ("28.001555941", "vsvm", "vsvm_fault_begin", FAULT),
    ("28.001562481", "drm_gpusvm", "drm_gpusvm_fault",
     SVM + " addr=0x7fce85031000 write result=0 duration=4677"),
    ("28.001581879", "drm_gpusvm", "drm_gpusvm_get_pages",
     SVM + " dev=vsvm-0 [0x7fce85030000-0x7fce85040000) write devices=1 segments=1"
     " result=0 duration=17036"),
    ("28.001585505", "vsvm", "vsvm_fault_end", FAULT + ": 0 after 1 tries, 29684 ns"),
)


def trace_cmd(event):
    time, _, name, text = event
    return f"    kworker/u4:2-33    [000] .L...    {time}: {name + ':':<20} {text}\n"


def perf_script(event):
    time, system, name, text = event
    return f"    kworker/u4:2-ev    33 [000]    {time}: {system}:{name}: {text}\n"


def tracefs(event):
    time, _, name, text = event
    return f"    kworker/u4:2-33      [000] .....    {time}: {name}: {text}\n"


class Reading(unittest.TestCase):
    def test_formats(self):
        for form in (trace_cmd, perf_script, tracefs):
            lines = ["# tracer: nop\n", "cpus=1\n"] + [form(event) for event in EVENTS]
            events = svm_trace.read(lines)
            with self.subTest(form.__name__):
                self.assertEqual([event.name for event in events],
                                 [event[2] for event in EVENTS])
                self.assertEqual({event.task for event in events}, {33})
                self.assertEqual(events[2].end, 28001581879)
                self.assertEqual(events[2].begin, 28001581879 - 17036)
                self.assertEqual(events[2].size, 65536)
                # What names no process belongs to the one of its address space
                self.assertEqual(events[3].pid, 134)

    def test_microseconds(self):
        event = svm_trace.read([tracefs(("28.001581", "", "drm_gpusvm_evict", SVM))])[0]
        self.assertEqual(event.end, 28001581000)


class Faults(unittest.TestCase):
    def faults(self, events):
        return list(svm_trace.faults(svm_trace.read(map(trace_cmd, events))))

    def test_reported(self):
        faults = self.faults(EVENTS)
        self.assertEqual(len(faults), 1)
        self.assertEqual(faults[0].duration, 29684)
        self.assertEqual(faults[0].get.size, 65536)
        self.assertEqual(faults[0].end_event.access, "atomic")
        self.assertEqual(len(faults[0].lookups), 1)

    def test_failed(self):
        end = EVENTS[3][:3] + (FAULT + ": -14 after 2 tries, 29684 ns",)
        faults = self.faults(EVENTS[:2] + (end,))
        self.assertEqual(faults[0].end_event.err, -14)
        self.assertIsNone(faults[0].get)

    def test_not_reported(self):
        """From the begin of the lookup to the end of the get."""
        faults = self.faults(EVENTS[1:3])
        self.assertEqual(len(faults), 1)
        self.assertEqual(faults[0].duration, 1581879 - (1562481 - 4677))


if __name__ == "__main__":
    unittest.main()
