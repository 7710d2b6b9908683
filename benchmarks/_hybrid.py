"""Networks of boxes of atoms for a glass with stiff inclusions, and their rivals.

    python benchmarks/_hybrid.py DIR reference     # hours: once; results are in tests/data
    python benchmarks/_hybrid.py DIR atoms         # the trainings of one kind

Everything lies in `DIR`, one file each; what is there is not done again. Several
processes may share the folder.

The reference is solids of 2000 atoms: 44 random paths, each on one of eight solids; two
cycles of shear, each on all eight. A network learns from the first four random paths
(or forty) and is judged by the mean of the eight solids along the cycles, which nobody
has seen.
"""

import json
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxmat import atoms, surrogates
from jaxmat.studies import composite, glass
from jaxmat.studies.composite import learning

FEW, MANY = 4, 40
SEEDS = range(3)
SOLIDS = 8


def jobs():
    """Kind of path, number, solid and strain; the first are needed first."""
    random = glass.random_paths(0, MANY + FEW)
    cycles, straight = glass.cyclic_paths(), glass.monotonic_paths()
    yield from (("random", k, k % SOLIDS, random[k]) for k in range(FEW))
    yield from (("cyclic", k, s, cycles[k]) for s in range(SOLIDS) for k in range(2))
    yield from (("random", k, k % SOLIDS, random[k]) for k in range(MANY, MANY + FEW))
    yield from (("monotonic", k, k, straight[k]) for k in range(4))
    yield from (("random", k, k % SOLIDS, random[k]) for k in range(FEW, MANY))
