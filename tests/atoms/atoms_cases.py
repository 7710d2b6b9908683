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


def glass(law, num_atoms, density, seed=0):
    """A random configuration, 80:20, brought down to the nearest minimum."""
    rng = np.random.default_rng(seed)
    positions = jnp.asarray(rng.uniform(size=(num_atoms, 3)))
    box = (num_atoms / density) ** (1 / 3) * jnp.eye(3)
    species = jnp.asarray((np.arange(num_atoms) % 5 == 0).astype(int))
    return atoms.relax(law, atoms.Atoms(positions, box, species)).value


def cristobalite(repeats, rattle=0.0, seed=0, lattice=7.16):
    """Ideal beta-cristobalite, SiO2: silicon as in diamond, oxygen between neighbours.

    Rattled, the box is sheared as well.
    """
    rng = np.random.default_rng(seed)
    fcc = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    bonds = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 8
    oxygen = (fcc[:, None] + bonds).reshape(-1, 3)
    basis = np.concatenate([fcc, fcc + 0.25, oxygen])
    corners = np.indices((repeats,) * 3).reshape(3, -1).T
    s = (corners[:, None] + basis).reshape(-1, 3) / repeats
    side = repeats * lattice
    s = s + rattle / side * rng.normal(size=s.shape)
    box = side * np.eye(3) + rattle * rng.uniform(-1, 1, (3, 3))
    species = np.tile([0] * 8 + [1] * 16, repeats**3)
    return atoms.Atoms(*map(jnp.asarray, (s, box, species)))
