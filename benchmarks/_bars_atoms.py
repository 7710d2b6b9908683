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
        "error of the energy with half the step, over a fourth of it (1: second order)",
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
    Bar(
        "atoms-gpu",
        "gpu",
        "1024 x 256 atoms on a GPU, times LAMMPS's one core",
        ">=",
        100.0,
        _gpu,
    ),
)
