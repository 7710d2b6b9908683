"""The promises that `bench_homogenise.py` measures: what is claimed, and the bar."""

from _measure import BOUNDED, SCHEMES, distance
from _record import Bar, pick

# CPU seconds on a quiet machine of two cores, recorded once; these programs are not
# run here.
RECORDED = {
    "fedoo": ("scaling", {"ndim": 3, "size": 32}, 85.0),
    "jax-fem": ("bounded", {"ndim": 2, "size": 128, "boundary": "kubc"}, 4.0),
    "torch-fem": ("bounded", {"ndim": 2, "size": 128, "boundary": "kubc"}, 10.8),
}


def over(ours: list[dict], theirs: list[dict]) -> float | None:
    """How many times faster we are than the fastest variant of the other program."""
    if not ours or not theirs:
        return None
    return min(row["median_s"] for row in theirs) / ours[0]["median_s"]


def _muspectre(ndim: int, size: int, scheme: str) -> Bar:
    grid = {"ndim": ndim, "size": size, "threads": 1}

    def value(rows):
        ours = pick(rows, "speed", program="jaxmat", scheme=scheme, **grid)
        return over(ours, pick(rows, "speed", program="muSpectre", **grid))

    claim = f"{scheme} at {size}^{ndim}, times muSpectre's speed, one thread each"
    return Bar(f"muspectre-{scheme}-{size}", "speed", claim, ">=", 4.0, value)


def _agreement(ndim: int, size: int) -> Bar:
    grid = {"ndim": ndim, "size": size, "threads": 1, "scheme": "fourier"}

    def value(rows):
        ours = pick(rows, "speed", program="jaxmat", **grid)
        theirs = pick(rows, "speed", program="muSpectre", **grid)
        if not ours or not theirs:
            return None
        return distance(ours[0]["stiffness"], theirs[0]["stiffness"])

    claim = f"stiffness at {size}^{ndim} as muSpectre's, relative; both solve to 1e-6"
    return Bar(f"muspectre-agrees-{size}", "speed", claim, "<=", 1e-6, value)


def _skfem(size: int) -> Bar:
    def value(rows):
        ours = pick(rows, "elements", program="jaxmat", size=size)
        return over(ours, pick(rows, "elements", program="scikit-fem", size=size))

    claim = f"full at {size}^2, times scikit-fem's speed (assembly and solves)"
    return Bar(f"skfem-full-{size}", "elements", claim, ">=", 40.0, value)


def _recorded(program: str) -> Bar:
    section, grid, seconds = RECORDED[program]

    def value(rows):
        ours = pick(rows, section, scheme="full", **grid)
        return seconds / ours[0]["median_s"] if ours else None

    claim = f"full, times the recorded {seconds} s of {program} on the same problem"
    return Bar(f"recorded-{program}", section, claim, ">=", 40.0, value)


def _compile(ndim: int, scheme: str) -> Bar:
    def value(rows):
        found = pick(rows, "speed", program="jaxmat", ndim=ndim, scheme=scheme)
        return max((row["compile_s"] for row in found), default=None)

    claim = f"{scheme} in {ndim}D compiles in seconds"
    return Bar(f"compile-{scheme}-{ndim}d", "speed", claim, "<", 5.0, value)


def _growth(scheme: str) -> Bar:
    def value(rows):
        steps = [row["steps"] for row in pick(rows, "scaling", ndim=2, scheme=scheme)]
        return max(steps) - min(steps) if steps else None

    claim = f"{scheme}: growth of the iterations from 64^2 to 1024^2"
    return Bar(f"iteration-growth-{scheme}", "scaling", claim, "<=", 1, value)


def _cost(scheme: str) -> Bar:
    def value(rows):
        found = pick(rows, "scaling", ndim=2, scheme=scheme)
        cost = [row["microseconds_per_voxel"] for row in found if row["size"] >= 128]
        return max(cost) / min(cost) if cost else None

    claim = f"{scheme}: largest over smallest cost per voxel, 128^2 to 1024^2"
    return Bar(f"cost-per-voxel-{scheme}", "scaling", claim, "<=", 1.3, value)


def _cost_in_place(scheme: str) -> Bar:
    def value(rows):
        found = pick(rows, "scaling", ndim=2, scheme=scheme)
        floors = {row["size"]: row["over_floor_in_place"] for row in found}
        cost = [floor for size, floor in floors.items() if size >= 128]
        return max(cost) / floors[128] if cost else None

    claim = (
        f"{scheme}: growth of the cost per voxel from 128^2 to 1024^2 apart from cache "
        "effects: over the bandwidth floor where each size's fields lie"
    )
    return Bar(f"cost-over-floor-{scheme}", "scaling", claim, "<=", 1.3, value)


def _bandwidth(scheme: str) -> Bar:
    def value(rows):
        found = pick(rows, "scaling", ndim=2, scheme=scheme, size=1024)
        return found[0]["over_floor"] if found else None

    claim = f"{scheme} at 1024^2: time over the bytes it must move over a copy's speed"
    return Bar(f"bandwidth-{scheme}", "scaling", claim, "<=", 4.0, value)


def _memory(scheme: str) -> Bar:
    def value(rows):
        found = pick(rows, "scaling", ndim=3, scheme=scheme, size=128)
        return found[0]["peak_gib"] if found else None

    claim = f"{scheme} at 128^3, six load cases: peak memory of the process, GiB"
    return Bar(f"memory-{scheme}", "scaling", claim, "<=", 4.0, value)


def _contrast(scheme: str, soft: float) -> Bar:
    def value(rows):
        found = pick(rows, "contrast", scheme=scheme, soft=soft)
        return found[0]["steps"] if found else None

    name = "voids" if soft == 0 else f"contrast {soft:g}"
    claim = f"{scheme}, 3 of 20 grains soft, {name}: iterations"
    identity = f"{name.replace(' ', '-')}-{scheme}"
    return Bar(identity, "contrast", claim, "<", 70, value)


def _bounded(boundary: str, scheme: str, ndim: int) -> tuple[Bar, Bar]:
    def steps(rows, condition):
        found = pick(rows, "bounded", scheme=scheme, ndim=ndim, boundary=condition)
        return [row["steps"] for row in found]

    def worst(rows):
        ours, periodic = steps(rows, boundary), steps(rows, "periodic")
        ratios = [a / b for a, b in zip(ours, periodic, strict=True)]
        return max(ratios, default=None)

    def growth(rows):
        found = steps(rows, boundary)
        return found[-1] - found[0] if found else None

    name = f"{boundary}-{scheme}-{ndim}d"
    claim = f"{boundary}, {scheme}, {ndim}D: iterations"
    return (
        Bar(name, "bounded", f"{claim} over the periodic ones", "<", 4.0, worst),
        Bar(f"{name}-growth", "bounded", f"{claim}, growth with size", "<=", 1, growth),
    )


def _gradient(ndim: int, scheme: str) -> Bar:
    def value(rows):
        found = pick(rows, "gradient", ndim=ndim, scheme=scheme)
        return found[0]["ratio"] if found else None

    claim = f"{scheme}, {ndim}D: a modulus and its gradient by all orientations, solves"
    return Bar(f"gradient-{scheme}-{ndim}d", "gradient", claim, "<=", 1.5, value)


def _gpu(name: str) -> Bar:
    claim = f"{name} on a GPU: time over its bandwidth floor (not measured)"
    return Bar(f"gpu-{name}", "scaling", claim, "<=", 2.0, lambda rows: None)


def _exact(identity: str, claim: str, sense: str, bar: float, **wanted) -> Bar:
    def value(rows):
        found = [row["value"] for row in pick(rows, "exact", **wanted)]
        worst = max if sense == "<=" else min
        return worst(found) if found else None

    return Bar(identity, "exact", claim, sense, bar, value)


def _exact_bars() -> list[Bar]:
    relation = "exact plane relations of columnar copper, 128^2, relative error"
    slope = "dE/d(orientations) against central differences, every boundary, relative"
    return [
        *(
            _exact(
                f"plane-relation-{scheme}",
                f"{scheme}: {relation}",
                "<=",
                1e-3,
                task="plane_relation",
                scheme=scheme,
            )
            for scheme in SCHEMES
        ),
        _exact("r1", "bounds and estimates of r1", "<=", 1e-6, task="estimates"),
        _exact("laminate", "laminates, relative error", "<=", 1e-8, task="laminate"),
        _exact("eshelby", "Eshelby's sphere, 64^3", "<=", 0.01, task="eshelby"),
        _exact(
            "other-programs",
            "stiffness as other programs', same elements, GPa",
            "<=",
            1e-5,
            task="other_programs",
        ),
        _exact(
            "bounded-order",
            "least eigenvalue of KUBC - periodic and periodic - SUBC, GPa",
            ">=",
            -1e-6,
            task="bounded_order",
        ),
        *(
            _exact(
                f"gradient-{mode}",
                f"{mode} {slope}",
                "<=",
                1e-6,
                task="gradient_error",
                mode=mode,
            )
            for mode in ("forward", "reverse")
        ),
    ]


ELEMENTS = ("full", "reduced")
BARS = [
    *_exact_bars(),
    *(_muspectre(d, n, s) for d, n in ((2, 525), (3, 35)) for s in SCHEMES[1:]),
    *(_agreement(d, n) for d, n in ((2, 125), (2, 525), (3, 35))),
    *(_skfem(n) for n in (128, 512)),
    *(_recorded(program) for program in RECORDED),
    *(_compile(d, s) for d in (2, 3) for s in SCHEMES),
    *(_growth(s) for s in SCHEMES),
    *(_cost(s) for s in SCHEMES),
    *(_cost_in_place(s) for s in SCHEMES),
    *(_bandwidth(s) for s in SCHEMES),
    *(_memory(s) for s in SCHEMES),
    *(_contrast(s, soft) for s in ELEMENTS for soft in (1e-2, 1e-4, 0.0)),
    *(
        bar
        for boundary, scheme in BOUNDED
        for ndim in (2, 3)
        for bar in _bounded(boundary, scheme, ndim)
    ),
    *(_gradient(d, s) for d in (2, 3) for s in SCHEMES),
    *(_gpu(name) for name in ("256-cubed", "batch-1024")),
]
