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

import numpy as np
import pytest
from atoms_cases import rattled_lattice

from jaxmat import atoms, io

SCRIPT = """
import json, sys
from lammps import lammps
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
for line in '''units {units}
box tilt large
read_data {data}
{pairs}
compute p all pressure NULL virial
thermo_style custom step pe c_p[*]
thermo_modify norm no
run 0 post no'''.split(chr(10)):
    lmp.command(line)
pressure = list(lmp.extract_compute("p", 0, 1)[k] for k in range(6))
print("ANSWER", json.dumps([lmp.get_thermo("pe"), pressure]))
"""

KOB_ANDERSEN = """pair_style lj/smooth/linear 2.5
pair_coeff 1 1 1.0 1.0 2.5
pair_coeff 1 2 1.5 0.8 2.0
pair_coeff 2 2 0.5 0.88 2.2"""

BAR = 1 / 1602176.634  # eV per cubic angstrom


def interpreter():
    if found := os.environ.get("JAXMAT_LAMMPS"):
        return found
    if importlib.util.find_spec("lammps") is None:
        pytest.skip("LAMMPS is not installed (extra `lammps`)")
    return sys.executable


def answer(file, units, pairs):
    """Energy and stress that LAMMPS has for a data file, in its units."""
    python = interpreter()
    library = Path(python).parent.parent / "lib"
    out = subprocess.run(
        [python, "-c", SCRIPT.format(units=units, data=file, pairs=pairs)],
        env=os.environ | {"LD_LIBRARY_PATH": str(library)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    energy, pressure = json.loads(out.split("ANSWER", 1)[1])
    xx, yy, zz, xy, xz, yz = pressure
    return energy, -np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def test_energy_and_stress_are_those_of_lammps(tmp_path):
    law, a = atoms.kob_andersen("force"), rattled_lattice(per_side=6, tilt=0.2)
    io.write_lammps(tmp_path / "a.data", a, masses=(1.0, 1.0))
    a = io.read_lammps(tmp_path / "a.data")  # in LAMMPS's orientation
    energy, expected = answer(tmp_path / "a.data", "lj", KOB_ANDERSEN)
    np.testing.assert_allclose(atoms.energy(law, a), energy, rtol=1e-12)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(atoms.stress(law, a), expected, atol=1e-12 * scale)


def vashishta_file(law):
    """Our constants as LAMMPS reads them: one line for each ordered triple.

    Charges are larger by the root of Coulomb's constants, 14.3996454 and 14.399645.
    """
    charge = law.charge * (14.3996454 / 14.399645) ** 0.5
    names, lines = ("Si", "O"), []
    for i, j, k in itertools.product(range(2), repeat=3):
        numbers = [0.0] * 14
        if j == k:
            angle = law.stiffness[i], law.gamma, law.reach, 0.0, law.cosine[i]
            numbers = [
                *(law.repulsion[i, j], law.exponent[i, j]),
                *(charge[i], charge[j], law.coulomb_screening),
                *(law.polarisation[i, j], law.polarisation_screening),
                *(0.0, law.cutoff),
                *(angle if i != j else [0.0] * 5),
            ]
        lines.append(" ".join([names[i], names[j], names[k], *map(str, numbers)]))
    return "\n".join(lines)


def test_vashishta_silica_has_the_energy_and_stress_of_lammps(tmp_path):
    law = atoms.vashishta_silica(cutoff=6.0)
    a = rattled_lattice(per_side=6, density=0.07, tilt=0.8)
    io.write_lammps(tmp_path / "a.data", a, masses=(28.0855, 15.999))
    a = io.read_lammps(tmp_path / "a.data")
    (tmp_path / "silica").write_text(vashishta_file(law))
    pairs = f"pair_style vashishta\npair_coeff * * {tmp_path / 'silica'} Si O"
    energy, expected = answer(tmp_path / "a.data", "metal", pairs)
    np.testing.assert_allclose(atoms.energy(law, a), energy, rtol=1e-12)
    scale = np.abs(expected).max() * BAR
    np.testing.assert_allclose(
        atoms.stress(law, a), expected * BAR, rtol=0, atol=1e-12 * scale
    )
