"""Homogenisation of silicon polycrystals: seconds, iterations, memory, beside peers.

    python benchmarks/bench_homogenise.py --quick
    python benchmarks/bench_homogenise.py --muspectre-python A --skfem-python B

Double precision, relative tolerance 1e-6, one pinned core unless a row says otherwise.
Times are medians of warm runs, compilation apart; programs that are compared run in
turn. The last line of standard output is the result as JSON. `bars` in it has one entry
for each measurable promise; what could not be measured has the value null. How to set
the peers up is in `benchmarks/README.md`.
"""

import argparse
import json
import os
import pathlib
import platform
import sys
import time

import _measure
from _bars import BARS
from _serve import Program

COMMAND = "python benchmarks/bench_homogenise.py"
OUTPUT = pathlib.Path(__file__).parent / "results" / "homogenise.json"
SECTIONS = ("exact", "speed", "elements", "scaling", "contrast", "bounded", "gradient")


def machine() -> dict:
    """Where the numbers come from, and how busy it was."""
    names = [
        line.split(":", 1)[1].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
    }


def versions(args: argparse.Namespace) -> dict:
    with Program("_ours.py") as program:
        out = program("version")
    if args.muspectre_python:
        with Program("_muspectre.py", python=args.muspectre_python) as program:
            out["muspectre"] = program("version")
    if args.skfem_python:
        with Program("_skfem.py", python=args.skfem_python) as program:
            out["scikit-fem"] = program("version")
    return out


def measure(section: str, args: argparse.Namespace) -> list[dict]:
    plan = _measure.QUICK if args.quick else _measure.Plan()
    extra = {"speed": args.muspectre_python, "elements": args.skfem_python}
    arguments = (plan, extra[section]) if section in extra else (plan,)
    return getattr(_measure, section)(*arguments)


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    out.add_argument("--muspectre-python", help="interpreter that has muSpectre")
    out.add_argument("--skfem-python", help="interpreter with scikit-fem and pyamg")
    out.add_argument("--quick", action="store_true", help="tiny grids, to try it out")
    out.add_argument(
        "--sections",
        nargs="+",
        choices=SECTIONS,
        default=SECTIONS,
        help="measure these; the others keep what the output file has",
    )
    out.add_argument("--output", type=pathlib.Path, help=f"default: {OUTPUT}")
    return out


def main(argv: list[str] | None = None) -> None:
    args = parser().parse_args(argv)
    output = args.output or (None if args.quick else OUTPUT)
    start = time.perf_counter()
    result = {"rows": {}}
    if output is not None and output.exists():
        result = json.loads(output.read_text())
    result |= {"machine": machine(), "versions": versions(args)}
    result["device"] = result["versions"]["device"]
    for section in args.sections:
        result["rows"][section] = measure(section, args)
        result["seconds"] = time.perf_counter() - start
        result["bars"] = [bar(result["rows"], COMMAND) for bar in BARS]
        if output is not None:  # after each section: a run that is cut short counts
            output.parent.mkdir(exist_ok=True)
            output.write_text(json.dumps(result, indent=1) + "\n")
    for bar in result["bars"]:
        print(bar["id"], bar["value"], bar["sense"], bar["bar"], bar["holds"])
    json.dump(result, sys.stdout)
    print()


if __name__ == "__main__":
    main()
