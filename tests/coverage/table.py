"""Sums up what llvm-cov exports, by crate."""

import collections
import json
import pathlib
import sys

here = pathlib.Path(sys.argv[1])
kinds = ("lines", "functions", "regions")
crates = collections.defaultdict(lambda: {kind: [0, 0] for kind in kinds})
for file in json.load(sys.stdin)["data"][0]["files"]:
    crate = pathlib.Path(file["filename"]).relative_to(here).parts[0]
    for kind in kinds:
        for of in (crate, "together"):
            crates[of][kind][0] += file["summary"][kind]["covered"]
            crates[of][kind][1] += file["summary"][kind]["count"]
print(f"{'crate':<12}" + "".join(f"{kind:>22}" for kind in kinds))
for crate in sorted(crates, key=lambda crate: (crate == "together", crate)):
    parts = (f"{run:>7} of {all:>6} {100 * run / max(all, 1):>3.0f} %" for run, all in crates[crate].values())
    print(f"{crate:<12}" + "".join(f"{part:>22}" for part in parts))
