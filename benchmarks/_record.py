"""How a benchmark keeps what it measured: rows and machine by section, the bars.

`bars` has one entry for each measurable promise. The file is written after each
section, so that a run that is cut short counts; sections that are not measured keep
what the file has.
"""

import argparse
import dataclasses
import json
import operator
import os
import pathlib
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence

SENSES = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}
RESULTS = pathlib.Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Bar:
    """One promise; `value` reads it off the rows, or gives None."""

    id: str
    section: str
    claim: str
    sense: str
    bar: float
    value: Callable[[dict], float | None]

    def __call__(self, rows: dict, command: str) -> dict:
        value = self.value(rows)
        return {
            "id": self.id,
            "claim": self.claim,
            "value": value,
            "bar": self.bar,
            "sense": self.sense,
            "holds": None if value is None else SENSES[self.sense](value, self.bar),
            "command": f"{command} --sections {self.section}",
        }


def pick(rows: dict, section: str, **wanted) -> list[dict]:
    """Rows of a section with these entries."""
    items = wanted.items()
    found = rows.get(section, [])
    return [row for row in found if all(row.get(k) == v for k, v in items)]


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


def here() -> dict:
    """Device, versions and machine of a script that measures in its own process."""
    import jax

    import jaxmat

    device = jax.devices()[0].device_kind
    versions = {"jaxmat": jaxmat.__version__, "jax": jax.__version__}
    return {"device": device, "versions": versions, "machine": machine()}


def parser(doc: str, output: pathlib.Path, sections: Sequence[str]):
    """Options that all benchmarks have."""
    out = argparse.ArgumentParser(description=doc.splitlines()[0])
    out.add_argument("--quick", action="store_true", help="tiny sizes, to try it out")
    out.add_argument(
        "--sections",
        nargs="+",
        choices=sections,
        default=sections,
        help="measure these; the others keep what the output file has",
    )
    out.add_argument("--output", type=pathlib.Path, help=f"default: {output}")
    return out


def record(
    args: argparse.Namespace,
    output: pathlib.Path,
    versions: Mapping[str, str],
    measure: Callable[[str], list[dict]],
    bars: Sequence[Bar],
    command: str,
) -> None:
    """Measure section after section, keep the file up to date, print bars and JSON.

    Versions of programs that are absent this time stay, like their rows.
    """
    output = args.output or (None if args.quick else output)
    result = {"rows": {}, "machines": {}, "versions": {}}
    if output is not None and output.exists():
        result = json.loads(output.read_text())
    result["versions"] |= versions
    result["device"] = result["versions"]["device"]
    for section in args.sections:
        start, where = time.perf_counter(), machine()
        result["rows"][section] = measure(section)
        where["seconds"] = time.perf_counter() - start
        result["machines"][section] = where
        result["bars"] = [bar(result["rows"], command) for bar in bars]
        if output is not None:
            output.parent.mkdir(exist_ok=True)
            output.write_text(json.dumps(result, indent=1) + "\n")
    for bar in result["bars"]:
        print(bar["id"], bar["value"], bar["sense"], bar["bar"], bar["holds"])
    json.dump(result, sys.stdout)
    print()
