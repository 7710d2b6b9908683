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
import functools

import _measure
from _bars import BARS
from _record import RESULTS, parser, record
from _serve import Program

COMMAND = "python benchmarks/bench_homogenise.py"
OUTPUT = RESULTS / "homogenise.json"
SECTIONS = ("exact", "speed", "elements", "scaling", "contrast", "bounded", "gradient")


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


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__, OUTPUT, SECTIONS)
    options.add_argument("--muspectre-python", help="interpreter that has muSpectre")
    options.add_argument("--skfem-python", help="interpreter with scikit-fem and pyamg")
    args = options.parse_args(argv)
    measured = functools.partial(measure, args=args)
    record(args, OUTPUT, versions(args), measured, BARS, COMMAND)


if __name__ == "__main__":
    main()
