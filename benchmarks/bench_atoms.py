"""Atoms: agreement with LAMMPS, exactness, and atom-steps per CPU second.

    python benchmarks/bench_atoms.py --quick
    python benchmarks/bench_atoms.py --lammps-python A --lammps-library L \
        --torch-sim-python T

Kob-Andersen atoms at density 1.2, cutoff 2.5. One pinned core; CPU seconds of the
process, so that a busy machine does not count. The last line of standard output is the
result as JSON. How to set other programs up is in `benchmarks/README.md`.
"""

import argparse
import os
import statistics

import numpy as np
from _bars_atoms import BARS, BATCHES
from _record import RESULTS, parser, record
from _serve import Program

COMMAND = "python benchmarks/bench_atoms.py"
OUTPUT = RESULTS / "atoms.json"
SECTIONS = ("exact", "rest", "lammps", "speed")
TOLERANCE = 1e-10
RUNS = 5
BIG_CRYSTAL = {"repeats": 10, "cutoff": 7.7}


def lammps(args: argparse.Namespace) -> Program:
    """It loads MPI from its environment's `lib`."""
    old = os.environ.get("LD_LIBRARY_PATH")
    os.environ["LD_LIBRARY_PATH"] = args.lammps_library
    try:
        return Program("_lammps.py", python=args.lammps_python)
    finally:
        del os.environ["LD_LIBRARY_PATH"]
        if old is not None:
            os.environ["LD_LIBRARY_PATH"] = old


def versions(args: argparse.Namespace) -> dict:
    out = {}
    with Program("_glass.py") as program:
        out |= program("version")
    with Program("_jax_md.py") as program:
        out |= program("version")
    if args.lammps_python:
        with lammps(args) as program:
            out |= program("version")
    if args.torch_sim_python:
        with Program("_torch_sim.py", python=args.torch_sim_python) as program:
            out |= program("version")
    return out


def exact(args: argparse.Namespace) -> list[dict]:
    with Program("_glass.py") as ours:
        out = ours("conservation", num_atoms=256, time_span=1.0 if args.quick else 2.0)
    coarse, middle, fine = out["energy_errors"]
    row = {"what": "constant energy", "num_atoms": 256, "steps": [0.004, 0.002, 0.001]}
    orders = np.log2([coarse / middle, middle / fine]) / 2
    return [row | out | {"order_ratio": float(np.maximum(orders, 1 / orders).max())}]


def rest(args: argparse.Namespace) -> list[dict]:
    """Atoms at rest: derivatives, memory, quasi-static steps; crystals."""
    rows = []

    def measure(what: str, task: str, **arguments) -> None:
        with Program("_at_rest.py") as program:
            rows.append({"what": what} | arguments | program(task, **arguments))

    measure("glass", "derivatives", num_atoms=160 if args.quick else 256, seed=0)
    measure("memory", "memory", num_atoms=256)
    measure("times", "times", num_atoms=200, seed=0, steps=3 if args.quick else 50)
    size = {"repeats": 6, "cutoff": 4.6} if args.quick else BIG_CRYSTAL
    measure("fcc", "fcc", **size)
    measure("silicon", "silicon")
    return rows


def compare(args: argparse.Namespace) -> list[dict]:
    if not args.lammps_python:
        return []
    count = 3 if args.quick else 50
    rows = []
    with Program("_glass.py") as ours, lammps(args) as theirs:
        found = ours("configurations", num_atoms=256, count=count, seed=1)
        energy, stress = [], []
        for a in found["configurations"]:
            mine = {key: a.pop(key) for key in ("energy", "stress")}
            other = theirs("point", **a)
            energy.append(abs(mine["energy"] / other["energy"] - 1))
            stress.append(_relative(mine["stress"], other["stress"]))
        rows.append(
            {
                "what": "configurations",
                "count": count,
                "energy_difference": max(energy),
                "stress_difference": max(stress),
            }
        )
        glass = ours("glass", num_atoms=256, seed=2, tolerance=TOLERANCE)
        step, steps = 1e-3, 5 if args.quick else 60
        path = {"step": step, "steps": steps, "tolerance": TOLERANCE}
        mine = ours("shear", **glass, **path)["rows"]
        other = theirs("shear", **glass, **path)["rows"]
    rows.append(_path(mine, other, step))
    return rows


def _relative(mine: list[float], other: list[float]) -> float:
    mine, other = np.asarray(mine), np.asarray(other)
    return float(np.abs(mine - other).max() / np.abs(other).max())


def _path(mine: list[dict], other: list[dict], step: float) -> dict:
    """Up to the first step in which the stress falls, in either program."""
    shear = np.array([[r["stress"][5] for r in rows] for rows in (mine, other)])
    falls = np.flatnonzero((np.diff(shear) < 0).any(axis=0))
    first = int(falls[0]) + 1 if len(falls) else shear.shape[1]
    until = slice(0, first)
    energies = np.array([[r["energy"] for r in rows] for rows in (mine, other)])
    scale = np.abs(shear[1, until]).max()
    worst = np.abs(shear[0, until] - shear[1, until]).max()
    return {
        "what": "quasi-static shear",
        "steps_before_event": first,
        "event_met": bool(len(falls)),
        "strain": (first - 1) * step,
        "stress_difference": float(worst / scale),
        "energy_difference": float(
            np.abs(energies[0, until] / energies[1, until] - 1).max()
        ),
        "whole_path_difference": float(
            np.abs(shear[0] - shear[1]).max() / np.abs(shear[1]).max()
        ),
        "events": len(falls),
        "lammps_force": max(r["force"] for r in other[:first]),
        "shear_stress": shear[0].tolist(),
        "lammps_shear_stress": shear[1].tolist(),
    }


def speed(args: argparse.Namespace) -> list[dict]:
    """Programs run in turn, several times; the best run of each counts."""
    steps, runs = (20, 2) if args.quick else (100, RUNS)
    rows = []
    for cells, n in BATCHES:
        for dtype in ("float32", "float64"):
            with Program("_glass.py") as ours:
                few = 2 if args.quick else cells
                shape = {"cells": few, "num_atoms": n, "dtype": dtype}
                found = ours("speed", **shape, steps=steps, runs=runs)
                liquid = ours("start", num_atoms=n)
            rate = few * n * steps / found["seconds"] / 1e6
            rows.append({"program": "jaxmat", **shape, "million_per_s": rate, **found})
            if args.torch_sim_python:
                rows.append(torch_sim(args, shape, liquid))
        others = 200 if args.quick else 4000
        with Program("_jax_md.py") as program:
            found = program("speed", **liquid, steps=others // 4, runs=2)
        rate = n * (others // 4) / found["seconds"] / 1e6
        one = {"cells": 1, "num_atoms": n, "dtype": "float64"}
        rows.append({"program": "jax-md", **one, "million_per_s": rate})
        if args.lammps_python:
            with lammps(args) as program:
                seconds = [
                    program("speed", **liquid, temperature=0.5, steps=others)["seconds"]
                    for _ in range(runs)
                ]
            rate = n * others / min(seconds) / 1e6
            row = {"program": "lammps", **one, "million_per_s": rate}
            rows.append(row | {"median_s": statistics.median(seconds)})
    return rows


def torch_sim(args: argparse.Namespace, shape: dict, liquid: dict) -> dict:
    steps = 2 if args.quick else 20
    with Program("_torch_sim.py", python=args.torch_sim_python) as program:
        wanted = {key: shape[key] for key in ("cells", "dtype")}
        found = program("speed", **liquid, **wanted, steps=steps, runs=2)
    rate = shape["cells"] * shape["num_atoms"] * steps / found["seconds"] / 1e6
    return {"program": "torch-sim", **shape, "million_per_s": rate, **found}


MEASURES = {"exact": exact, "rest": rest, "lammps": compare, "speed": speed}


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__, OUTPUT, SECTIONS)
    options.add_argument("--lammps-python", help="interpreter that has LAMMPS")
    options.add_argument(
        "--lammps-library", default="", help="folder of its libmpi, ENV/lib"
    )
    options.add_argument("--torch-sim-python", help="interpreter that has torch-sim")
    args = options.parse_args(argv)
    record(args, OUTPUT, versions(args), lambda x: MEASURES[x](args), BARS, COMMAND)


if __name__ == "__main__":
    main()
