"""Films of polysilicon: what they cost, what networks make of them, beside peers.

    python benchmarks/bench_polysilicon.py --quick
    python benchmarks/bench_polysilicon.py --skfem-python A --torch-python B --studies C

Films of 128 x 128 pixels at L/s = 4, labels in double precision, two cores. Times are
medians of warm runs, compilation apart; programs that are compared run in turn. `C` is
a folder for the studies of the presets "full", "kubc" and "subc"; what is missing in
them is made first, which takes an hour and more. The last line of standard output is
the result as JSON. How to set the peers up is in `benchmarks/README.md`.
"""

import functools
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from _bars_polysilicon import BARS
from _measure import distance, in_turn
from _record import RESULTS, parser, record
from _serve import Program
from tqdm import tqdm

COMMAND = (
    "python benchmarks/bench_polysilicon.py --skfem-python A --torch-python B "
    "--studies C"
)
OUTPUT, FIGURE = RESULTS / "polysilicon.json", RESULTS / "polysilicon.png"
STUDIES = ("full", "kubc", "subc")
CORES = 2
NETWORKS = {
    "of the study": {"side": 128, "width": 16, "depths": [1, 1, 1], "reduction": 4},
    "on every pixel": {"side": 64, "width": 16, "depths": [1, 1, 1], "reduction": 1},
}
BLOCKS = (4, 8, 16)
RESNET, IN_THE_LOOP = "ResNet-exactly-augmented-seed-0", "physics-in-the-loop-seed-0"


def generation(args) -> list[dict]:
    """Films per second under every boundary, and scikit-fem on the same films."""
    counts = {"periodic": 1024, "kubc": 384, "subc": 384}
    out = []
    with Program("_films.py", threads=CORES) as ours:
        for boundary, count in tqdm(counts.items(), "generation"):
            count = 64 if args.quick else count
            task = {"boundary": boundary, "count": count, "workers": CORES}
            seconds = [ours("generate", **task)["seconds"] for _ in range(3)]
            rate = count / statistics.median(seconds)
            row = {"program": "jaxmat", "boundary": boundary, "films": count}
            out.append(row | {"seconds": seconds, "films_per_s": rate})
        if args.skfem_python:
            out += _skfem(ours, args.skfem_python, 2 if args.quick else 8)
    return out


def _skfem(ours: Program, python: str, count: int) -> list[dict]:
    """Films per second of scikit-fem, one process on each core, by its solvers."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/films.npz"
        exact = ours("write_films", path=path, count=count)["stiffness"]
        with Program("_skfem.py", python=python) as peer:
            peer("prepare", size=128)
            rows = {"direct": [], "pyamg": []}
            for k in tqdm(range(count), "scikit-fem"):
                peer("take_film", path=path, index=k)
                for solver, found in rows.items():
                    found.append(peer("solve", solver=solver, rtol=1e-5))
    return [
        {
            "program": "scikit-fem",
            "variant": solver,
            "boundary": "periodic",
            "films": count,
            "seconds": [one["seconds"] for one in found],
            # Two processes would not disturb each other at best.
            "films_per_s": CORES / statistics.median(one["seconds"] for one in found),
            "error": max(
                distance(one["stiffness"], known)
                for one, known in zip(found, exact, strict=True)
            ),
        }
        for solver, found in rows.items()
    ]


def training(args) -> list[dict]:
    """Seconds of a training step, and of PyTorch's on the same batch."""
    out = []
    for name, network in tqdm(NETWORKS.items(), "training"):
        with (
            tempfile.TemporaryDirectory() as folder,
            Program("_films.py", threads=CORES) as ours,
        ):
            path = f"{folder}/batch.npz"
            options = {key: network[key] for key in ("width", "depths", "reduction")}
            ours("write_batch", path=path, side=network["side"], batch_size=16)
            heads = {"jaxmat": ours("prepare_step", images=path, **options)}
            calls = {"jaxmat": lambda: ours("step")}
            peers = []
            for layout in ("contiguous", "channels last") if args.torch_python else ():
                peer = Program("_torch.py", python=args.torch_python, threads=CORES)
                peers.append(peer)
                heads[layout] = peer(
                    "prepare_step", images=path, layout=layout, **options
                )
                calls[layout] = lambda p=peer: p("step")
            measured = in_turn(calls, 5 if args.quick else 60)
            for peer in peers:
                peer.__exit__()
        for variant, row in measured.items():
            program = "jaxmat" if variant == "jaxmat" else "PyTorch"
            what = {"program": program, "variant": variant, "network": name}
            out.append(what | network | heads[variant] | row)
    return out


def study(args) -> list[dict]:
    """Tables of the studies, which are completed first; the main figure of one."""
    out = []
    for name in ("quick",) if args.quick else STUDIES:
        folder = pathlib.Path(args.studies) / name
        words = ["run", "--preset", name, "--output", str(folder), "--json"]
        found = _jaxmat(words)
        kept = {key: found[key] for key in ("youngs_modulus", "tables", "uncertainty")}
        command = f"jaxmat polysilicon run --preset {name} --output DIR"
        out.append({"preset": name, "command": command} | kept)
    if not args.quick:
        shutil.copy(pathlib.Path(args.studies) / "full" / "films_needed.png", FIGURE)
    return out


def _jaxmat(words: list[str], **environment: str) -> dict:
    """What `jaxmat polysilicon` prints as JSON."""
    command = [sys.executable, "-m", "jaxmat.cli", "polysilicon", *words]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    return json.loads(done.stdout)


def quick(args) -> list[dict]:
    """Seconds of the quick study from nothing, compilation and report included."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        words = ["run", "--preset", "quick", "--output", f"{folder}/out", "--json"]
        _jaxmat(words, JAX_COMPILATION_CACHE_DIR=f"{folder}/compiled")
        return [{"seconds": time.perf_counter() - start, "cores": os.cpu_count()}]


def inference(args) -> list[dict]:
    """Seconds per film of networks and coarse solvers, and their mean errors."""
    out = []
    with Program("_films.py", threads=CORES) as program:
        head = program("prepare_models", study=f"{args.studies}/full")
        for name in tqdm((RESNET, IN_THE_LOOP, *BLOCKS), "inference"):
            row = program("answer", name=name, batch_size=16)
            out.append({"name": name} | head | row)
    return out


def gradient(args) -> list[dict]:
    """Cosines between gradients through the networks and through the pixel solver."""
    with Program("_films.py", threads=CORES) as program:
        program("prepare_models", study=f"{args.studies}/full")
        return [
            {"name": name} | program("agreement", name=name, count=50)
            for name in tqdm((RESNET, IN_THE_LOOP), "gradient")
        ]


SECTIONS = {
    one.__name__: one
    for one in (generation, training, quick, study, inference, gradient)
}
NEED_STUDIES = ("study", "inference", "gradient")


def versions(args) -> dict:
    peers = {"_films.py": sys.executable}
    peers |= {"_skfem.py": args.skfem_python, "_torch.py": args.torch_python}
    out = {}
    for script, python in peers.items():
        if python:
            with Program(script, python=python) as program:
                out |= program("version")
    return out


def measure(section: str, args) -> list[dict]:
    return SECTIONS[section](args)


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__, OUTPUT, list(SECTIONS))
    options.add_argument("--skfem-python", help="interpreter with scikit-fem and pyamg")
    options.add_argument("--torch-python", help="interpreter with PyTorch")
    options.add_argument("--studies", help="folder of the studies")
    args = options.parse_args(argv)
    if not args.studies:
        args.sections = [x for x in args.sections if x not in NEED_STUDIES]
    measured = functools.partial(measure, args=args)
    record(args, OUTPUT, versions(args), measured, BARS, COMMAND)


if __name__ == "__main__":
    main()
