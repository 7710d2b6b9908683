"""Networks whose points are small boxes of atoms."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxmat import cells
from jaxmat._check import check_positive
from jaxmat.atoms import Atoms
from jaxmat.cells import PRNN
from jaxmat.materials import PlaneStrain, SmallStrain
from jaxmat.studies.glass._solids import bonds, stiffened

COUNTS = (6, 2)
"""Boxes of the matrix and of inclusions: a quarter, as in the solid."""


def box_network(
    boxes: Sequence[Atoms],
    *,
    counts: tuple[int, int] = COUNTS,
    amplitude: float = 1.0,
    key: Key[Array, ""],
) -> PRNN:
    """A material made of boxes of the matrix and of inclusions, not trained.

    All boxes see the same strain and count alike: Taylor's average of them.

    Args:
        boxes: of the matrix, at rest, atoms in the same order (`make_cells`); every
            point begins with one of them, chosen by the key of `init_state`.
        counts: points of matrix and of inclusion.
        amplitude: strain of the boxes over that of the whole. Less than one makes the
            network softer, since its decoder is that of Hill and Mandel's work.
        key: random key; without scatter of the weights it changes nothing.

    Returns:
        A PRNN of three strain components, its stress in the unit of the potential.

    Raises:
        JaxmatError: if `amplitude` is not positive, or as `cells.atomistic_cell`.
    """
    check_positive("amplitude", jnp.asarray(amplitude))
    law = bonds()
    hard = [stiffened(box) for box in boxes]
    points = [
        PlaneStrain(SmallStrain(cells.atomistic_cell(law, some)))
        for some in (boxes, hard)
    ]
    network = cells.prnn(points, counts, key=key, scatter=0.0)
    return eqx.tree_at(lambda n: n.encoder, network, amplitude * network.encoder)


@eqx.filter_jit
def predict(
    network: PRNN, eps: Float[Array, "paths steps 3"], keys: Key[Array, " paths"]
) -> tuple[Float[Array, "paths steps 3"], Float[Array, " paths"]]:
    """Stress along every path, begun with boxes chosen by its key.

    Returns:
        Mandel stress, and the gradients of the energy that were evaluated for it, in
        all boxes together.
    """

    def one(eps, key):
        def step(state, target):
            sig, state = network.update(target, state, jnp.ones(()))
            return state, sig

        state, sig = jax.lax.scan(step, network.init_state(key), eps)
        return sig, evaluations(state)

    return jax.vmap(one)(eps, keys)


def evaluations(states: PyTree) -> Array:
    """Gradients of the energy evaluated so far in all boxes of a network."""
    return jnp.sum(jnp.stack([jnp.sum(state.evaluations) for state in states]))
