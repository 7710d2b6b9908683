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

COUNTS = (8, 4)
"""Boxes of the matrix and of inclusions, four for every encoder; see `fit_network`."""


def box_network(
    boxes: Sequence[Atoms],
    *,
    counts: tuple[int, int] = COUNTS,
    amplitude: float = 1.0,
    key: Key[Array, ""],
) -> PRNN:
    """A material made of boxes of the matrix and of inclusions, not trained.

    All boxes see the same strain and count alike: Taylor's average of them. Without a
    key in `init_state` it begins with the same boxes every time, so that it is one
    material, and its training fits these boxes.

    Args:
        boxes: of the matrix, at rest, atoms in the same order (`make_cells`).
        counts: points of matrix and of inclusion.
        amplitude: strain of the boxes over that of the whole. Less than one makes the
            network softer, since its decoder is that of Hill and Mandel's work.
        key: puts the boxes in order, and so decides with which the network begins.

    Returns:
        A PRNN of three strain components, its stress in the unit of the potential.

    Raises:
        JaxmatError: if `amplitude` is not positive, or as `cells.atomistic_cell`.
    """
    check_positive("amplitude", jnp.asarray(amplitude))
    order = jax.random.permutation(key, len(boxes))
    boxes = [boxes[k] for k in order]
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
    network: PRNN,
    eps: Float[Array, "paths steps 3"],
    key: Key[Array, ""] | None = None,
) -> tuple[Float[Array, "paths steps 3"], Float[Array, " paths"]]:
    """Stress along every path, begun with the same boxes.

    Args:
        network: of `box_network`, trained or not.
        eps: Mandel strain in the plane.
        key: chooses other boxes than those of `network.init_state()`.

    Returns:
        Mandel stress, and the gradients of the energy that were evaluated for it, in
        all boxes together.
    """
    start = network.init_state(key)

    def one(eps):
        def step(state, target):
            sig, state = network.update(target, state, jnp.ones(()))
            return state, sig

        state, sig = jax.lax.scan(step, start, eps)
        return sig, evaluations(state)

    return jax.vmap(one)(eps)


def evaluations(states: PyTree) -> Array:
    """Gradients of the energy evaluated so far in all boxes of a network, a number."""
    return jnp.sum(jnp.stack([jnp.sum(state.evaluations) for state in states]))
