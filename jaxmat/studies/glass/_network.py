"""Networks whose points are small boxes of atoms."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from jaxmat import atoms, cells, mandel
from jaxmat._check import JaxmatError, check_positive
from jaxmat.atoms import Atoms
from jaxmat.cells import PRNN
from jaxmat.materials import PlaneStrain, SmallStrain
from jaxmat.studies.glass._solids import FRACTION, STIFFNESS, bonds, stiffened

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
        JaxmatError: if `amplitude` is not positive or there are no boxes, or as
            `cells.atomistic_cell`.
    """
    check_positive("amplitude", amplitude)
    _check_boxes(boxes)
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


def localised(network: PRNN, boxes: Sequence[Atoms]) -> PRNN:
    """A network of `box_network` with the strains that `mori_tanaka` finds.

    Boxes of the matrix and of inclusions count for their areas. Nothing is trained.

    Args:
        network: of these boxes.
        boxes: of the matrix.

    Returns:
        The same network with another encoder and other weights.
    """
    encoder = np.repeat(mori_tanaka(boxes), network.counts, axis=0)
    areas = np.array([1 - FRACTION, FRACTION]) / network.counts
    both = jnp.asarray(encoder), jnp.log(jnp.repeat(areas, np.array(network.counts)))
    return eqx.tree_at(lambda n: (n.encoder, n.weights), network, both)


def mori_tanaka(boxes: Sequence[Atoms]) -> Float[np.ndarray, "2 3 3"]:
    """Mean strain of matrix and of inclusions for a small strain of the solid.

    Every disc sits in a matrix that is strained as the matrix is on average. Both are
    isotropic, with the mean moduli of the boxes at rest, and those times `STIFFNESS`.

    Args:
        boxes: of the matrix, at rest, of as many atoms.

    Returns:
        Maps of Mandel strain, of the matrix first; over the areas their mean is 1.

    Raises:
        JaxmatError: if there are no boxes, or as `atoms.elastic_moduli`.

    References:
        Mori & Tanaka (1973), Acta Metall. 21, 571-574.
        Benveniste (1987), Mech. Mater. 6, 147-157 (eqs. 14, 15).
    """
    _check_boxes(boxes)
    law, together = bonds(), jax.tree.map(lambda *x: jnp.stack(x), *boxes)
    moduli = jax.jit(jax.vmap(lambda box: atoms.elastic_moduli(law, box)))
    stiffness = np.asarray(mandel.from_tensor4(moduli(together).mean(0)))
    spread = np.outer([1, 1, 0], [1, 1, 0]) / 2  # projects on changes of area
    bulk = float(np.sum(spread * stiffness)) / 2
    shear = float(np.sum((np.eye(3) - spread) * stiffness)) / 4
    stiffer = STIFFNESS - 1
    alone = [  # strain of one disc over that far from it (Eshelby)
        1 / (1 + stiffer * bulk / (bulk + shear)),
        1 / (1 + stiffer * (bulk + 2 * shear) / (2 * (bulk + shear))),
    ]
    disc = alone[0] * spread + alone[1] * (np.eye(3) - spread)
    matrix = np.linalg.inv((1 - FRACTION) * np.eye(3) + FRACTION * disc)
    return np.stack([matrix, disc @ matrix])


def _check_boxes(boxes: Sequence[Atoms]) -> None:
    if not boxes or len({box.num_atoms for box in boxes}) > 1:
        raise JaxmatError(
            f"the boxes have {[box.num_atoms for box in boxes][:8]} atoms; give one or "
            "more of as many atoms."
        )


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
