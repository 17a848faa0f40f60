# SPDX-License-Identifier: GPL-2.0
"""What a kernel says in its log when it is unwell."""

import re

UNWELL = re.compile(
    r"BUG:|WARNING:|KASAN|UBSAN|KCSAN|Oops|Kernel panic|general protection fault|"
    r"possible .* detected|suspicious RCU usage|inconsistent lock state|"
    r"possible irq lock inversion|bad unlock balance|INFO: task .* blocked for more|"
    r"soft lockup|hard LOCKUP|detected stalls|sleeping function called|DMA-API:.*(?:error|leak|not|differ|exceed|overlap|out of memory)|"
    r"unreferenced object|suspected memory leaks|list_(?:add|del) corruption|refcount_t:|"
    r"DMAR:.*fault|Bad page state|Bad rss-counter|scheduling while atomic")
# What contains such a word and means nothing of the kind
FINE = re.compile(r"kasan: KernelAddressSanitizer initialized|kmemleak: Kernel memory leak detector|"
                  r"DMA-API: preallocated|DMA-API: debugging enabled|NX .*protection|# .*BUG:")
# run-tests says where a suite of the base begins, and where the last one ends
BASE_SUITE = re.compile(r"lab: base (\S+)$")
BASE_END = re.compile(r"lab: end of base")


def read(path):
    with open(path, errors="replace", encoding="utf-8") as file:
        return [line.rstrip("\r\n") for line in file]


def is_unwell(line):
    return bool(UNWELL.search(line) and not FINE.search(line))


def of_base_suites(lines):
    """What was said during each suite of the base."""
    suites, current = {}, []
    for line in lines:
        if match := BASE_SUITE.search(line):
            current = suites.setdefault(match[1], [])
        elif BASE_END.search(line):
            current = []
        else:
            current.append(line)
    return suites
