"""Networks of points of a fibre composite, of boxes of atoms: accuracy, data, speed.

    python benchmarks/bench_prnn.py --quick
    python benchmarks/bench_prnn.py --runs DIR

Trainings lie in `DIR`, one file each; what is missing is made first, which takes about
three hours on a core. Errors are mean absolute errors over sxx, syy, txy at all steps
of thirty paths that no training has seen, MPa. Times are medians of warm runs on one
core, compilation apart. The last line of standard output is the result as JSON.

The section `hybrid` is about a glass of 2000 atoms with stiff inclusions; see
`_hybrid.py`.
"""

import functools
import pathlib
import tempfile

import _bars_hybrid
import _bars_prnn
import _hybrid
import _hybrid_figure
import _prnn_runs
import jax
import numpy as np
from _bars_prnn import BARS
from _record import RESULTS, parser, record
from _serve import Program
from tqdm import tqdm

COMMAND = "python benchmarks/bench_prnn.py --runs DIR"
OUTPUT, FIGURE = RESULTS / "prnn.json", RESULTS / "prnn.png"
CONVERGED = 0.02
"""Change of the full cell's stress with twice the pixels, over its size."""

FINEST_STEPS = 20
"""The finest cell, at some eight seconds a step, takes a third of one path."""


def learning(args) -> list[dict]:
    """Errors of every kind, number of paths and seed."""
    folder = pathlib.Path(args.runs)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for kind in args.models for row in _prnn_runs.curve(folder, kind)]
    if not args.quick:
        draw(rows)
    return rows


def extrapolation(args) -> list[dict]:
    """Errors where no training path goes."""
    folder = pathlib.Path(args.runs)
    return [
        _prnn_runs.extrapolate(folder, kind, seed)
        for kind in args.models
        for seed in _prnn_runs.SEEDS
    ]


def speed(args) -> list[dict]:
    """Seconds of a step: the full cell on finer and finer grids, and the network."""
    sizes = (12, 24) if args.quick else (20, 40, 80, 160, 320)
    rows = []
    with Program("_composite.py") as program:
        for pixels in tqdm(sizes, "full cell"):
            much = {"paths": 1, "steps": FINEST_STEPS}
            if pixels < 320:
                much = {"paths": 2, "steps": 60}
            rows.append({"program": "full"} | program("full", pixels=pixels, **much))
        for batch in (1, 64, 1024):
            row = program("batched", paths=batch, repeats=3 if args.quick else 15)
            rows.append({"program": "batched"} | row)
        for pixels in (8,) if args.quick else (16, 32):
            row = program("specimen", pixels=pixels, steps=20, repeats=3)
            rows.append({"program": "specimen"} | row)
    stresses = [np.array(row.pop("stress_mpa")) for row in rows[: len(sizes)]]
    same = tuple(map(slice, np.min([stress.shape for stress in stresses], axis=0)))
    for row, stress, finer in zip(rows, stresses, [*stresses[1:], None], strict=False):
        change = None
        if finer is not None:
            change = np.linalg.norm(stress[same] - finer[same])
            change = float(change / np.linalg.norm(finer[same]))
        row["change_with_twice_the_pixels"] = change
        row["converged"] = change is not None and change <= CONVERGED
    return rows


def hybrid(args) -> list[dict]:
    """Errors of networks of boxes of atoms and of their rivals, seed by seed."""
    folder = pathlib.Path(args.runs)
    kinds = ("nearest",) if args.quick else tuple(_hybrid.KINDS)
    rows = [_hybrid.reference()]
    rows += [
        _hybrid.row(folder, kind, k) for kind in kinds for k in _hybrid.seeds(kind)
    ]
    if not args.quick:
        _hybrid_figure.draw(rows, folder)
        rows.append(_bars_hybrid.accounting(rows, _hybrid.FEW))
    return rows


def atoms_in_specimen(args) -> list[dict]:
    """A derivative through all scales, and what a temperature does."""
    with Program("_glass_specimen.py") as program:
        rows = [program("relaxation")]
        if not args.quick:
            trained = str(pathlib.Path(args.runs, "hybrid-atoms-0.json").resolve())
            rows += [
                program("gradient"),
                program("specimen", trained=trained, steps=10),
            ]
    return rows


def draw(rows: list[dict]) -> None:
    """Error against the number of paths, all seeds, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.6, 3.6), layout="constrained")
    ax = figure.subplots()
    for (kind, label), colour in zip(LABELS.items(), COLOURS, strict=True):
        if not any(row["model"] == kind for row in rows):
            continue
        table = [(p, _bars_prnn.errors({"learning": rows}, kind, p)) for p in SIZES]
        paths = [p for p, found in table if found]
        low, middle, high = np.array(
            [(min(e), np.median(e), max(e)) for _, e in table if e]
        ).T
        ax.fill_between(paths, low, high, color=colour, alpha=0.2, lw=0)
        ax.plot(paths, middle, "o-", color=colour, ms=3.5, label=label)
    ax.set(xscale="log", yscale="log", xlabel="training paths")
    ax.set_ylabel("mean absolute error of the stress / MPa")
    ax.set_xticks(SIZES, [str(p) for p in SIZES])
    ax.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    ax.minorticks_off()
    ax.grid(color="0.9", lw=0.6)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(FIGURE, dpi=200)


SIZES = _prnn_runs.SIZES
LABELS = {
    "prnn": "network of points",
    "dmn": "deep material network",
    "law": "one fitted law",
    "gru": "GRU",
    "lstm": "LSTM",
    "lstm with dropout": "LSTM with dropout",
}
COLOURS = ("#0b3c5d", "#2a9d8f", "#7f5539", "#c1440e", "#e0a100", "#6a4c93")
SECTIONS = {
    one.__name__: one
    for one in (learning, extrapolation, speed, hybrid, atoms_in_specimen)
}


def versions() -> dict:
    with Program("_composite.py") as program:
        return program("version")


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__, OUTPUT, list(SECTIONS))
    options.add_argument("--runs", help="folder of the trainings")
    models = list(_prnn_runs.settings())
    options.add_argument("--models", nargs="+", choices=models, default=models)
    args = options.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    with tempfile.TemporaryDirectory() as temporary:
        args.runs = args.runs or temporary
        if args.quick:
            _prnn_runs.make_quick()
            args.models = ["prnn"]
        measured = functools.partial(measure, args=args)
        bars = [*BARS, *_bars_hybrid.BARS]
        record(args, OUTPUT, versions(), measured, bars, COMMAND)


def measure(section: str, args) -> list[dict]:
    return SECTIONS[section](args)


if __name__ == "__main__":
    main()
