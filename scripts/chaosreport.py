#!/usr/bin/env python3
"""Adds up reports of the chaos test (-report FILE) that ran side by side, as docs/reliability.md shows them.

    scripts/chaosreport.py FILE...
"""
import re
import sys

# Rows that sum up others, at the end.
LAST = {"several together": 1, "all": 2}
UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}


def seconds(text):
    """The length of a duration as the report prints it; None for an empty cell."""
    found = re.fullmatch(r"([\d.]+) ?(µs|ms|s)", text)
    return float(found[1]) * UNITS[found[2]] if found else None


def said(length):
    return f"{length * 1000:.0f} ms" if length < 1 else f"{length:.2f} s"


def cells(line):
    return [c.strip() for c in line.strip().strip("|").split("|")]


def last(path):
    """The part of a report that adds up its runs."""
    with open(path, encoding="utf-8") as f:
        return f.read().split("All of them: ")[-1]


def main(paths):
    sums, invariants, faults, lates = [], {}, {}, {}
    lines = 0
    for part in map(last, paths):
        head = re.search(
            r"registry (\w+), seeds? (\d+)(?: to (\d+))?.*?: (\d+) faults in .*?; (\d+) runs, (\d+) tasks, (\d+) attempts \((\d+) of them lost\), (\d+) lines",
            part)
        name, first, to, *numbers = head.groups()
        *numbers, ledger = map(int, numbers)
        sums.append((name, f"{first} to {to or first}", *numbers))
        lines += ledger
        for row in (cells(l) for l in part.splitlines() if l.lstrip().startswith("| ")):
            if len(row) == 3 and row[1].isdigit():
                looked, broken = invariants.get(row[0], (0, 0))
                invariants[row[0]] = looked + int(row[1]), broken + int(row[2])
            elif len(row) == 8 and row[1].isdigit():
                f = faults.setdefault(row[0], {"times": 0, "caught": 0, "p50": [], "max": 0.0, "promised": row[6], "later": 0})
                f["times"] += int(row[1])
                f["caught"] += int(row[2])
                f["later"] += int(row[7] or 0)
                if (p50 := seconds(row[3])) is not None:
                    f["p50"].append(p50)
                    f["max"] = max(f["max"], seconds(row[5]))
            elif len(row) == 5 and row[1].isdigit():
                late = lates.setdefault(row[0], {"times": 0, "p50": [], "p99": [], "max": []})
                late["times"] += int(row[1])
                for key, cell in zip(("p50", "p99", "max"), row[2:]):
                    late[key].append(seconds(cell))
    print("| registry | seeds | faults | runs of workflows | tasks | attempts | of them lost |\n|---|---|--:|--:|--:|--:|--:|")
    for row in sorted(sums):
        print("| " + " | ".join(map(str, row)) + " |")
    print("| all | | " + " | ".join(str(sum(row[i] for row in sums)) for i in range(2, 7)) + " |")
    print(f"\nThe ledger has {lines} lines.\n\n| invariant | looked at | broken |\n|---|--:|--:|")
    for name, (looked, broken) in invariants.items():
        print(f"| {name} | {looked} | {broken} |")
    print("\n| fault | times | caught | p50 | max | promised | later |\n|---|--:|--:|--:|--:|--:|--:|")
    for name, f in faults.items():
        p50 = f"{said(min(f['p50']))} – {said(max(f['p50']))} | {said(f['max'])}" if f["p50"] else "|"
        later = f["later"] if f["promised"] and f["p50"] else ""
        print(f"| {name} | {f['times']} | {f['caught']} | {p50} | {f['promised']} | {later} |")
    if lates:
        print("\n| broken while a schedule was due | times | p50 | p99 | max |\n|---|--:|--:|--:|--:|")
    for name, late in sorted(lates.items(), key=lambda item: LAST.get(item[0], 0)):
        parts = [f"{said(min(late[key]))} – {said(max(late[key]))}" for key in ("p50", "p99")]
        print(f"| {name} | {late['times']} | {parts[0]} | {parts[1]} | {said(max(late['max']))} |")


if __name__ == "__main__":
    main(sys.argv[1:])
