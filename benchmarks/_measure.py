"""What `bench_homogenise.py` measures, one function per section, each a list of rows.

A row names the program, the grid and the threads, and holds the median of the seconds
of one homogenisation (all load cases), the iterations, and the error: a fast wrong
answer is no result.
"""

import contextlib
import dataclasses
import json
import statistics

import _micro
import numpy as np
from _serve import Program
from tqdm import tqdm

RTOL = 1e-6
PATIENCE = 10.0  # seconds; a longer run counts as it is and is not repeated
KRYLOV = ("KrylovSolverCG", "KrylovSolverCGEigen")
SCHEMES = ("full", "reduced", "fourier")
# One-point elements have mechanisms on a free boundary.
BOUNDED = (("kubc", "full"), ("kubc", "reduced"), ("subc", "full"))
_REFERENCE_NAME = {"full": "fe", "reduced": "rotated", "fourier": "fourier"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Grids and repeats of a run; sizes are voxels per side."""

    schemes: tuple[str, ...] = SCHEMES
    threads: tuple[int, ...] = (1, 2)
    speed: tuple[tuple[int, int], ...] = ((2, 125), (2, 525), (3, 35))
    elements: tuple[int, ...] = (128, 512)
    plane: tuple[int, ...] = (64, 128, 256, 512, 1024)
    space: tuple[int, ...] = (32, 64, 128)
    contrast: int = 128
    bounded: tuple[tuple[int, int], ...] = (
        (2, 64),
        (2, 128),
        (2, 256),
        (3, 16),
        (3, 32),
    )
    gradient: tuple[tuple[int, int], ...] = ((2, 256), (3, 32))
    repeats: int = 9


QUICK = Plan(
    schemes=("reduced",),
    threads=(1,),
    speed=((2, 25),),
    elements=(16,),
    plane=(16, 32),
    space=(),
    contrast=32,
    bounded=((2, 16),),
    gradient=((2, 16),),
    repeats=3,
)


def error(stiffness, ndim: int, size: int, scheme: str) -> dict:
    """Relative distance from an independent solver, at the same size if it is there.

    Otherwise from its finest grid, and then the error of the discretisation is in it.
    """
    stored = json.loads((_micro.DATA / "reference_results.json").read_text())
    plane = "_pstrain" if ndim == 2 else ""
    name = f"{ndim}d_{size}{plane}_{_REFERENCE_NAME[scheme]}"
    if name not in stored:
        name = {2: "2d_512_pstrain_fourier", 3: "3d_32_fourier"}[ndim]
    exact = np.array(stored[name]["C"])
    return {"error": distance(stiffness, exact), "error_against": name}


def distance(stiffness, exact) -> float:
    """Largest difference over the largest entry."""
    difference = np.abs(np.array(stiffness) - np.array(exact)).max()
    return float(difference / np.abs(exact).max())


def in_turn(calls: dict, repeats: int) -> dict[str, dict]:
    """Warm every program up, then let them run one after the other, `repeats` times."""
    rows = {name: call() for name, call in calls.items()}
    slow = [name for name, row in rows.items() if row["seconds"] > PATIENCE]
    seconds = {name: [rows[name]["seconds"]] if name in slow else [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            if name not in slow:
                seconds[name].append(call()["seconds"])
    for name, row in rows.items():
        row["seconds"] = seconds[name]
        row["median_s"] = statistics.median(seconds[name])
    return rows


EXACT = [
    *(("plane_relation", {"scheme": scheme}) for scheme in SCHEMES),
    ("estimates", {}),
    ("laminate", {}),
    ("eshelby", {}),
    *(
        ("other_programs", {"case": f"{case}_{name}", "ndim": ndim, "scheme": scheme})
        for case, ndim in (("2d_128_pstrain", 2), ("3d_32", 3))
        for scheme, name in (("full", "fe"), ("reduced", "rotated"))
    ),
    ("bounded_order", {}),
    *(
        ("gradient_error", {"mode": mode, "boundary": boundary})
        for mode in ("forward", "reverse")
        for boundary in ("periodic", "kubc", "subc")
    ),
]


def exact(plan: Plan) -> list[dict]:
    """Errors against known answers; the same at any plan."""
    out = []
    with Program("_exact.py") as program:
        for task, options in tqdm(EXACT, "exact"):
            out.append({"task": task, **options, "value": program(task, **options)})
    return out


def speed(plan: Plan, muspectre: str | None) -> list[dict]:
    """Ours with one thread and more, and muSpectre, in turn on odd grids."""
    out = []
    for ndim, size in tqdm(plan.speed, "speed"):
        heads, calls = {}, {}
        with contextlib.ExitStack() as stack:
            for threads in plan.threads:
                for scheme in plan.schemes:
                    program = stack.enter_context(Program("_ours.py", threads=threads))
                    name = f"jaxmat {scheme} {threads}"
                    heads[name] = {"scheme": scheme, "threads": threads} | program(
                        "prepare", ndim=ndim, size=size, scheme=scheme, rtol=RTOL
                    )
                    calls[name] = lambda p=program: p("solve")
            for krylov in KRYLOV if muspectre else ():
                program = stack.enter_context(
                    Program("_muspectre.py", python=muspectre)
                )
                heads[krylov] = {"scheme": "fourier", "threads": 1} | program(
                    "prepare", ndim=ndim, size=size, krylov=krylov, rtol=RTOL
                )
                calls[krylov] = lambda p=program: p("solve")
            measured = in_turn(calls, plan.repeats)
        for name, head in heads.items():
            program = "muSpectre" if name in KRYLOV else "jaxmat"
            row = {"program": program, "variant": name, "ndim": ndim, "size": size}
            row |= head | measured[name]
            out.append(row | error(row["stiffness"], ndim, size, head["scheme"]))
    return out


def elements(plan: Plan, skfem: str | None) -> list[dict]:
    """Ours with full integration, and scikit-fem with each of its solvers, in turn."""
    out = []
    for size in tqdm(plan.elements, "elements"):
        with contextlib.ExitStack() as stack:
            ours = stack.enter_context(Program("_ours.py"))
            head = ours("prepare", ndim=2, size=size, scheme="full", rtol=RTOL)
            calls = {"jaxmat": lambda p=ours: p("solve")}
            if skfem:
                peer = stack.enter_context(Program("_skfem.py", python=skfem))
                peer("prepare", size=size)
                for solver in ("direct", "pyamg"):
                    calls[solver] = lambda p=peer, s=solver: p(
                        "solve", solver=s, rtol=RTOL
                    )
            measured = in_turn(calls, min(plan.repeats, 3))
        for name, row in measured.items():
            program = "jaxmat" if name == "jaxmat" else "scikit-fem"
            row |= {"program": program, "variant": name, "ndim": 2, "size": size}
            row |= head if program == "jaxmat" else {}
            out.append(row | {"threads": 1} | error(row["stiffness"], 2, size, "full"))
    return out


def scaling(plan: Plan) -> list[dict]:
    """Time, iterations, memory and traffic against voxels; a fresh process each."""
    grids = [(2, n) for n in plan.plane] + [(3, n) for n in plan.space]
    out = []
    for ndim, size in tqdm(grids, "scaling"):
        for scheme in plan.schemes:
            with Program("_ours.py") as program:
                row = {"ndim": ndim, "size": size, "scheme": scheme}
                head = program("prepare", **row, rtol=RTOL)
                row |= head | in_turn({"": lambda p=program: p("solve")}, 5)[""]
            row["microseconds_per_voxel"] = 1e6 * row["median_s"] / size**ndim
            out.append(row | error(row["stiffness"], ndim, size, scheme))
    with Program("_ours.py") as program:
        for row in tqdm(out, "bandwidth"):
            voxels, ndim = row["size"] ** row["ndim"], row["ndim"]
            # One copy speed beyond any cache, and one where the fields of a step lie.
            copies = {
                "": 2**29,
                "_in_place": voxels * resident_bytes(ndim, row["scheme"]),
            }
            floor = least_bytes(ndim, row["scheme"]) * voxels * row["steps"]
            for name, size in copies.items():
                speed = program("copy_bandwidth", total=size)["bytes_per_s"]
                row[f"copy{name}_bytes_per_s"] = speed
                seconds = floor * len(row["stiffness"]) / speed
                row[f"floor{name}_s"] = seconds
                row[f"over_floor{name}"] = row["median_s"] / seconds
    return out


def least_bytes(ndim: int, scheme: str) -> float:
    """Bytes that one iteration must move, per voxel and load case, if no field fits.

    Every sweep over the grid reads and writes each of its fields once: the operator
    (direction in, stiffness in, product out), conjugate gradients (solution, direction,
    residual and product in, solution and residual out; residual in, direction in and
    out), one sweep per axis and transform, and the preconditioner. The latter is in
    single precision, and so are its transforms.
    """
    strains, d = len(_micro.PAIRS[ndim]), ndim
    stiffness = strains * (strains + 1) / 2
    updates, green = 8 * 9 * d, 4 * d * (d + 1) / 4
    if scheme == "fourier":  # the unknowns are waves; strain and stress are transformed
        transforms = 8 * 2 * ndim * 2 * strains
        operator = 8 * (2 * d + 4 * strains + stiffness)
        return operator + updates + transforms + green + 8 * 2 * d
    transforms = 4 * 2 * ndim * 2 * d
    return 8 * (2 * d + stiffness) + updates + transforms + green + 4 * 2 * d


def resident_bytes(ndim: int, scheme: str) -> int:
    """Bytes of the fields that a step reads or writes, per voxel, each counted once.

    Stiffness, the five vectors of conjugate gradients, the preconditioner, and what
    stands between the halves of the operator (strains or stresses).
    """
    strains, d = len(_micro.PAIRS[ndim]), ndim
    between = {"full": d * (2**ndim - 1), "reduced": d * ndim, "fourier": 2 * strains}
    fields = strains * (strains + 1) // 2 + 5 * d + between[scheme]
    return 8 * fields + d * (d + 1)


def contrast(plan: Plan) -> list[dict]:
    """Iterations with three of the grains soft, and with three holes."""
    out = []
    for scheme in tqdm(plan.schemes, "contrast"):
        grid = {"ndim": 2, "size": plan.contrast, "scheme": scheme}
        with Program("_ours.py") as program:
            program("prepare", **grid, rtol=RTOL, contrast=True, max_steps=2000)
            for soft in (1.0, 1e-2, 1e-4, 0.0):
                out.append(grid | {"soft": soft} | program("solve", soft=soft))
    return out


def bounded(plan: Plan) -> list[dict]:
    """Iterations and time under prescribed displacement and traction, and periodic."""
    periodic = [("periodic", scheme) for scheme in ("full", "reduced")]
    out = []
    for ndim, size in tqdm(plan.bounded, "bounded"):
        with Program("_ours.py") as program:
            for boundary, scheme in (*periodic, *BOUNDED):
                row = {"ndim": ndim, "size": size, "scheme": scheme}
                row |= {"boundary": boundary}
                row |= program("prepare", **row, rtol=RTOL)
                measured = in_turn({"": lambda p=program: p("solve")}, 3)[""]
                out.append(row | measured)
    return out


def gradient(plan: Plan) -> list[dict]:
    """One modulus with its gradient by all orientations, against the solve alone."""
    out = []
    for ndim, size in tqdm(plan.gradient, "gradient"):
        for scheme in plan.schemes:
            row = {"ndim": ndim, "size": size, "scheme": scheme}
            with Program("_ours.py") as program:
                program("prepare", **row, rtol=RTOL)
                row |= program("prepare_gradient")
                calls = {
                    "forward": lambda p=program: p("solve"),
                    "gradient": lambda p=program: p("gradient"),
                }
                both = in_turn(calls, min(plan.repeats, 5))
            forward, slope = both["forward"]["median_s"], both["gradient"]["median_s"]
            row |= {"forward_s": forward, "gradient_s": slope}
            out.append(row | {"ratio": slope / forward})
    return out
