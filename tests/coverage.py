"""The table of tests/coverage: crates, then the files with the most uncovered lines."""

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


def main(path, floor_lines, floor_branches):
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
            summary = file["summary"]
            for total, kind in ((lines, "lines"), (branches, "branches")):
                total[0] += summary[kind]["covered"]
                total[1] += summary[kind]["count"]
            missed = summary["lines"]["count"] - summary["lines"]["covered"]
            worst.append((missed, summary["lines"]["percent"], name))
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
