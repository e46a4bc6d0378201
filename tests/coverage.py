"""The table of tests/coverage: crates, then the files with the most uncovered lines.

A place in the source counts once, however often it was compiled: the same
function in the tests of its crate and in the torture, and each instance of a
generic one. It is covered if any of them ran it. (llvm-cov's own summary takes
the best single instance of each function instead.)
"""

import json
import os
import sys

CRATES = {
    "cs-base": "pager/base/src/",
    "cs-io": "pager/io/src/",
    "cs-wal": "wal/src/",
    "cs-pager": "pager/src/",
    "cs-kv": "engine/kv/src/",
}
# Held to the floor.
HELD = ("cs-io", "cs-wal", "cs-pager", "cs-kv")
SPOTS = 6


def percent(counts):
    return 100.0 * counts[0] / counts[1] if counts[1] else 100.0


def lines_of(file):
    """Line to count, as LLVM's LineCoverageStats has it.

    A segment is (line, column, count, has a count, begins a region, is a gap).
    """
    starting = {}
    for segment in file["segments"]:
        starting.setdefault(segment[0], []).append(segment)
    counts, wrapped = {}, None
    for line in range(min(starting, default=0), max(starting, default=-1) + 1):
        here = starting.get(line, [])
        regions = [s for s in here if s[3] and s[4] and not s[5]]
        skipped = bool(here) and not here[0][3] and here[0][4]
        inside = wrapped is not None and wrapped[3]
        if (not skipped and (inside or regions)) or any(s[3] and s[4] for s in here):
            counts[line] = max([wrapped[2] if wrapped else 0] + [s[2] for s in regions])
        if here:
            wrapped = here[-1]
    return counts


def branches_of(file):
    """Place of a condition to whether it was ever true, ever false."""
    seen = {}
    for branch in file.get("branches", []):
        was = seen.setdefault(tuple(branch[:4]), [False, False])
        was[0] |= branch[4] > 0
        was[1] |= branch[5] > 0
    return seen


def main(path, floor_lines, floor_branches, gaps_of=None):
    files = json.load(open(path))["data"][0]["files"]
    root = os.getcwd() + "/"
    failed = False
    spots = {}
    print(f"{'crate':10} {'lines':>8} {'branches':>9}")
    for crate, folder in CRATES.items():
        lines, branches, worst = [0, 0], [0, 0], []
        for file in files:
            name = file["filename"].removeprefix(root)
            if not name.startswith(folder):
                continue
            counts, ways = lines_of(file), branches_of(file)
            covered = sum(count > 0 for count in counts.values())
            lines[0] += covered
            lines[1] += len(counts)
            branches[0] += sum(sum(way) for way in ways.values())
            branches[1] += 2 * len(ways)
            share = percent((covered, len(counts)))
            worst.append((len(counts) - covered, share, name))
            if gaps_of is not None and name.startswith(gaps_of):
                show_gaps(name, counts, ways)
        print(f"{crate:10} {percent(lines):7.1f}% {percent(branches):8.1f}%")
        spots[crate] = sorted(worst, reverse=True)[:SPOTS]
        if crate in HELD:
            failed |= percent(lines) < floor_lines or percent(branches) < floor_branches
    print("\nmost uncovered lines")
    for crate, worst in spots.items():
        for missed, share, name in worst:
            if missed:
                print(f"{crate:10} {missed:5} of lines missed, {share:5.1f}% covered  {name}")
    if failed:
        print(f"\nbelow the floor: {floor_lines} % of lines, {floor_branches} % of branches")
    return 1 if failed else 0


def show_gaps(name, counts, ways):
    """Each line that never ran (L) and each condition that never was true (T) or false (F)."""
    marks = {}
    for line, count in counts.items():
        if count == 0:
            marks.setdefault(line, []).append("L")
    for place, (was_true, was_false) in ways.items():
        never = ("" if was_true else "T") + ("" if was_false else "F")
        if never:
            marks.setdefault(place[0], []).append(f"{place[1]}-{place[3]}{never}")
    if not marks:
        return
    print(name)
    source = open(name).read().splitlines()
    for line in sorted(marks):
        text = source[line - 1].strip() if line <= len(source) else ""
        print(f"  {line:4} {' '.join(marks[line]):16} {text}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:5]))
