"""The promises that `bench_atoms.py` measures: what is claimed, and the bar."""

from _record import Bar, pick

BATCHES = ((16, 256), (64, 200))


def _speed(cells: int, num_atoms: int, dtype: str, bar: float) -> Bar:
    def value(rows):
        found = pick(
            rows,
            "speed",
            program="jaxmat",
            cells=cells,
            num_atoms=num_atoms,
            dtype=dtype,
        )
        return found[0]["million_per_s"] if found else None

    claim = f"{cells} x {num_atoms} atoms, {dtype}: million atom-steps per CPU second"
    name = f"atoms-{cells}x{num_atoms}-{dtype}"
    return Bar(name, "speed", claim, ">=", bar, value)


def _gpu(rows: dict) -> float | None:
    found = pick(rows, "gpu", program="jaxmat")
    return found[0]["times_lammps"] if found else None


def _only(section: str, key: str, **wanted):
    def value(rows):
        found = pick(rows, section, **wanted)
        return found[0][key] if found else None

    return value


def _largest(what: str, *keys: str):
    def value(rows):
        found = pick(rows, "rest", what=what)
        return max(found[0][key] for key in keys) if found else None

    return value


def _ratio(key: str, of: str, **wanted):
    def value(rows):
        found = pick(rows, "rest", **wanted)
        return found[0][key] / found[0][of] if found else None

    return value


def _rest(name: str, claim: str, bar: float, value) -> Bar:
    return Bar(f"atoms-{name}", "rest", claim, "<=", bar, value)


def _both(name: str, claim: str) -> Bar:
    keys = (f"{name}_forward", f"{name}_reverse")
    text = f"derivative of the stress of a glass in {claim}, forward and reverse, "
    text += "against minimising again, relative"
    return _rest(f"derivative-{name}", text, 1e-6, _largest("glass", *keys))


AT_REST = (
    _rest(
        "modulus",
        "moduli of a KA glass of 256 atoms against central differences, relative",
        1e-6,
        _largest("glass", "modulus"),
    ),
    _both("strain", "the mean deformation"),
    _both("sigma", "all sigma"),
    _both("epsilon", "all epsilon"),
    _rest(
        "stress",
        "stress against differences of the energy, relative",
        1e-6,
        _largest("glass", "stress"),
    ),
    _rest(
        "memory",
        "memory of the moduli without the Hessian over that of one gradient, N = 256",
        3.0,
        _ratio("without_hessian", "gradient", what="memory"),
    ),
    _rest(
        "step",
        "quasi-static step of 200 atoms to 1e-8, median CPU milliseconds",
        20.0,
        _largest("times", "step_ms"),
    ),
    _rest(
        "tangent-factorisations",
        "Hessians factorised for all nine columns of the tangent of 200 atoms",
        1.0,
        _largest("times", "factorisations"),
    ),
    _rest(
        "tangent",
        "CPU time of that tangent, moments of the bonds and substitutions included, "
        "over that of its Hessian and factorisation alone, median",
        1.0,
        _largest("times", "tangent_ratio"),
    ),
    _rest(
        "r5",
        "Lennard-Jones fcc: energy, C11, C12, C44, largest relative error",
        1e-5,
        _largest("fcc", "energy", "C11", "C12", "C44"),
    ),
    _rest(
        "r6",
        "silicon: lattice constant, energy, moduli, largest relative error",
        1e-6,
        _largest(
            "silicon",
            *("a0", "E_per_atom", "C11", "C12", "C44_relaxed", "C44_unrelaxed"),
        ),
    ),
)

BARS = (
    *(
        _speed(cells, n, dtype, bar)
        for cells, n in BATCHES
        for dtype, bar in (("float32", 1.0), ("float64", 0.6))
    ),
    Bar(
        "atoms-lammps-energy",
        "lammps",
        "energy of 50 configurations as LAMMPS's, largest relative difference",
        "<=",
        1e-6,
        _only("lammps", "energy_difference", what="configurations"),
    ),
    Bar(
        "atoms-lammps-stress",
        "lammps",
        "stress of 50 configurations as LAMMPS's, relative to its largest component",
        "<=",
        1e-6,
        _only("lammps", "stress_difference", what="configurations"),
    ),
    Bar(
        "atoms-lammps-aqs",
        "lammps",
        "shear stress up to the first event as LAMMPS's, relative to its largest value",
        "<=",
        1e-6,
        _only("lammps", "stress_difference", what="quasi-static shear"),
    ),
    Bar(
        "atoms-energy-order",
        "exact",
        "order of the error of the energy in the step over 2, or 2 over it, the larger "
        "of two halvings",
        "<=",
        1.1,
        _only("exact", "order_ratio", what="constant energy"),
    ),
    Bar(
        "atoms-reversible",
        "exact",
        "fractional positions after 200 steps there and back, largest difference",
        "<=",
        1e-8,
        _only("exact", "return_error", what="constant energy"),
    ),
    *AT_REST,
    Bar(
        "atoms-gpu",
        "gpu",
        "1024 x 256 atoms on a GPU, times LAMMPS's one core",
        ">=",
        100.0,
        _gpu,
    ),
)
