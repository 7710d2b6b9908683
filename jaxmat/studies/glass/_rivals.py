"""What a network of boxes of atoms has to be better than."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxmat import cells
from jaxmat._check import JaxmatError
from jaxmat.cells import PRNN
from jaxmat.materials import J2Plasticity, PlaneStrain, VoceHardening
from jaxmat.studies.glass._network import COUNTS
from jaxmat.studies.glass._solids import STIFFNESS

Series = Float[Array | np.ndarray, "paths steps 3"]

BULK, SHEAR = 65.0, 12.0
"""Moduli of the matrix, energy per area: means of some boxes of 120 atoms."""

YIELD, SATURATION, RATE = 0.3, 0.6, 100.0
"""Of Voce's curve, to begin a training with; flow stress is that of simple tension."""


def plastic_network(
    *, counts: tuple[int, int] = COUNTS, key: Key[Array, ""], scatter: float = 0.3
) -> PRNN:
    """A network of von Mises' plasticity in place of atoms; constants are learned.

    Args:
        counts: points of matrix and of inclusion.
        key: random key of the first weights.
        scatter: of the first encoder.

    Returns:
        A PRNN of three strain components in plane strain.
    """
    points = []
    for factor in (1.0, STIFFNESS):
        curve = VoceHardening(*(jnp.asarray(x) for x in _curve(factor)))
        bulk, shear = (jnp.asarray(factor * x) for x in (BULK - SHEAR / 3, SHEAR))
        points.append(PlaneStrain(J2Plasticity(bulk, shear, curve)))
    return cells.prnn(points, counts, key=key, learn_laws=True, scatter=scatter)


def _curve(factor: float) -> tuple[float, float, float]:
    return factor * YIELD, factor * SATURATION, RATE


def nearest_history(
    eps: Series, sig: Series, new: Float[Array | np.ndarray, "new steps 3"]
) -> Float[np.ndarray, "new steps 3"]:
    """Stress of the known path whose strain has been most alike so far.

    How SCEMa saves simulations: where two histories of strain are close, one stress
    does for both.

    Args:
        eps: strain along known paths.
        sig: their stress.
        new: strain along other paths of as many steps.

    Returns:
        Stress along these.

    Raises:
        JaxmatError: if there is no known path, the numbers of steps differ, or a strain
            is not finite.

    References:
        Vassaux, Richardson & Coveney (2019), Philos. Trans. R. Soc. A 377, 20180150.
    """
    shapes = [np.shape(x) for x in (eps, sig, new)]
    if not len(eps) or shapes[0] != shapes[1] or shapes[0][1:] != shapes[2][1:]:
        raise JaxmatError(
            f"`eps`, `sig` and `new` have shapes {', '.join(map(str, shapes))}; give "
            "paths of as many steps, and as many stresses as strains."
        )
    if not (np.isfinite(eps).all() and np.isfinite(new).all()):
        raise JaxmatError("a strain is not finite; leave its path out.")
    apart = np.asarray(new)[:, None] - np.asarray(eps)
    distance = np.cumsum(np.sum(apart**2, axis=-1), axis=-1)
    nearest = np.argmin(distance, axis=1)
    steps = np.arange(nearest.shape[1])
    return np.asarray(sig)[nearest, steps]
