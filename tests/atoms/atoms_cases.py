"""Small configurations that every test of atoms may use."""

import jax.numpy as jnp
import numpy as np

from jaxmat import atoms


def rattled_lattice(seed=0, per_side=6, density=1.2, tilt=0.3, d=3):
    """A simple cubic lattice out of order, in a triclinic box, 80:20."""
    rng = np.random.default_rng(seed)
    n = per_side**d
    side = (n / density) ** (1 / d)
    lattice = np.indices((per_side,) * d).reshape(d, -1).T / per_side
    positions = lattice + 0.02 * rng.normal(size=(n, d))
    box = side * np.eye(d) + tilt * rng.uniform(-1, 1, (d, d))
    species = (rng.permutation(n) < n // 5).astype(int)
    return atoms.Atoms(*map(jnp.asarray, (positions, box, species)))
