"""Gauss and Newton's method for networks whose every answer takes a simulation.

Stress along a path depends on the weights through the strains that the boxes see, and
boxes know the derivative of their stress. So one walk along the paths gives all
residuals and all their derivatives, and a step of Levenberg and Marquardt needs one
walk. The derivative is that within a basin: the tangent points where the average over
replicas goes (cosine above 0.98), the shear stress alone up to shears of 2 % (0.95; 0.5
to 1 beyond, where it is several times too large: `benchmarks/plastic_derivative.py`).
Where a step does not lower the error, which jumps from basin to basin can cause, it is
taken back and the next one is shorter.

References:
    Marquardt (1963), SIAM J. Appl. Math. 11, 431-441.
    Nielsen (1999), Damping parameter in Marquardt's method, IMM-REP-1999-05.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from tqdm import tqdm

from jaxmat._check import JaxmatError, check_positive
from jaxmat.cells import PRNN
from jaxmat.io import check_writable
from jaxmat.materials import follow
from jaxmat.solve import Solution
from jaxmat.studies.glass._data import load_arrays, save_arrays

NOISE = 0.1
"""Standard deviation of one residual, over that of the stress.

A solid of 2000 atoms and a network of 1440 differ by some three times as much from
others like them, but with 0.4 the training ends too near its start (see CONTRIBUTING).
"""

PRIOR = 0.3
"""Standard deviation of a weight around where the training begins."""

DAMPING = 1.0
"""Of the first step; boxes of atoms yield, so that a long one overshoots."""

ENOUGH = 1e-3
"""Share of the loss that a step has to take off, or the training is over."""


class Trace(NamedTuple):
    """What a training did.

    Attributes:
        losses: of every walk along the paths; refused steps included.
        accepted: which of them were.
        walks: along the paths, with derivatives.
    """

    losses: list[float]
    accepted: list[bool]
    walks: int


def fit_network(
    network: PRNN,
    eps: Float[Array | np.ndarray, "paths steps n"],
    sig: Float[Array | np.ndarray, "paths steps n"],
    *,
    images: Float[Array | np.ndarray, "images n n"] | None = None,
    max_walks: int = 30,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> Solution:
    """Fit encoder and decoder of a network to stresses along paths.

    The loss is the sum of the squared residuals over `NOISE` times the standard
    deviation of the stress, and of the squared changes of weights over `PRIOR`.

    Args:
        network: where to begin; it starts every path as `network.init_state()`.
        eps: Mandel strain.
        sig: Mandel stress.
        images: orthogonal maps of strain that leave the statistics of the solid as
            they are (`SQUARE`), the first the identity. So many points one after the
            other learn one encoder `A` and one weight: what they use is `g^T A g` with
            their image `g`. Every path then teaches as much as all its images. By
            default every point has an encoder of its own.
        max_walks: bound on the walks along the paths.
        checkpoint: file (`.npz`) to go on from after a stop.
        progress: a bar on standard error.

    Returns:
        `Solution` with the network and a `Trace`.

    Raises:
        JaxmatError: if strain and stress do not match or are not finite, the stress
            does not change, the network as it is gives NaN, the file cannot be written
            or is of a training that was given something else, the images are no such
            maps, the decoder is one that they do not turn ("positive"), or there are
            points left over that have no image.
    """
    _check_paths(network, np.asarray(eps), np.asarray(sig))
    check_positive("max_walks", max_walks)
    if checkpoint is not None:
        check_writable(checkpoint)
    if images is None:
        images = np.eye(network.num_strains)[None]
    start, rebuild = _shared(network, np.asarray(images))
    walk = _walk(rebuild, jnp.asarray(eps), jnp.asarray(sig))

    def loss(flat, residual):
        return float(residual @ residual + np.sum(((flat - start) / PRIOR) ** 2))

    given = {
        **_identity(network),
        "eps": np.asarray(eps),
        "sig": np.asarray(sig),
        "images": np.asarray(images),
    }
    state = _load(checkpoint, given)
    if state is None:
        residual, slope = map(np.asarray, walk(start))
        if not np.isfinite(residual).all():
            raise JaxmatError(
                "the network as it is gives NaN on these paths; take smaller strains, "
                "or boxes of more atoms."
            )
        value = loss(start, residual)
        state = _State(start, residual, slope, DAMPING, 2.0, [value], [True])
    bar = tqdm(total=max_walks, initial=len(state.losses), disable=not progress)
    while len(state.losses) < max_walks:
        best = min(state.losses)
        step = state.step((state.flat - start) / PRIOR)
        trial = state.flat + step
        expected = loss(trial, state.residual + state.slope @ step)
        if expected >= best:  # nothing is left to gain
            break
        residual, slope = map(np.asarray, walk(trial))
        value = loss(trial, residual)
        gain = (best - value) / (best - expected)
        if value < best:
            state = state._replace(flat=trial, residual=residual, slope=slope)
        state = state.after(value, gain)
        if checkpoint is not None:
            save_arrays(checkpoint, **state._asdict(), **given)
        bar.update()
        bar.set_postfix(loss=f"{min(state.losses):.4g}", damping=f"{state.damping:.1g}")
        if state.stands_still or best * (1 - ENOUGH) < value < best:
            break
    bar.close()
    trace = Trace(state.losses, state.accepted, len(state.losses))
    return Solution(rebuild(jnp.asarray(state.flat)), trace)


def _identity(network: PRNN) -> dict[str, np.ndarray]:
    """What a network is: its kinds of points, all its numbers, what it begins with."""
    numbers = eqx.filter((network, network.init_state()), eqx.is_inexact_array)
    kinds = re.sub(r" at 0x[0-9a-f]+", "", repr(network))  # places in memory
    return {
        "kinds": np.asarray(kinds),
        "network": np.asarray(ravel_pytree(numbers)[0]),
    }


def _check_paths(network: PRNN, eps: np.ndarray, sig: np.ndarray) -> None:
    if not isinstance(network, PRNN):
        raise JaxmatError(
            f"`network` is of type {type(network).__name__}; give a cells.PRNN."
        )
    size = network.num_strains
    if eps.ndim != 3 or eps.shape[-1] != size or sig.shape != eps.shape or not eps.size:
        raise JaxmatError(
            f"`eps` has shape {eps.shape} and `sig` {sig.shape}; give both as "
            f"(paths, steps, {size})."
        )
    for name, values in (("eps", eps), ("sig", sig)):
        if not np.isfinite(values).all():
            path = int(np.argmin(np.isfinite(values).all((1, 2))))
            raise JaxmatError(f"`{name}` is not finite in path {path}; leave it out.")
    if not np.std(sig):
        raise JaxmatError("`sig` is the same everywhere; give stresses to learn from.")


def _shared(
    network: PRNN, images: Float[np.ndarray, "images n n"]
) -> tuple[Float[np.ndarray, " weights"], Callable[..., PRNN]]:
    """Weights that are learned, flat, and the network that has such weights."""
    if not _are_images(images, network.num_strains):
        raise JaxmatError(
            "`images` are not orthogonal maps of the network's strains of which the "
            "first is the identity; give `SQUARE`, or leave them out."
        )
    each, n = len(images), network.num_strains
    if each > 1 and network.decoder == "positive":
        raise JaxmatError(
            "the decoder is 'positive', which mixes components that images turn; take "
            "'tied' or 'normalised', or leave `images` out."
        )
    if any(count % each for count in network.counts):
        raise JaxmatError(
            f"the network has {network.counts} points of its kinds, and there are "
            f"{each} images; take multiples of {each}."
        )
    flat, unravel = ravel_pytree((network.encoder[::each], network.weights[::each]))

    def rebuild(flat):
        encoder, weights = unravel(flat)
        encoder = jnp.einsum("gji,pjk,gkl->pgil", images, encoder, images)
        both = encoder.reshape(-1, n, n), jnp.repeat(weights, each, axis=0)
        return eqx.tree_at(lambda n: (n.encoder, n.weights), network, both)

    return np.asarray(flat), rebuild


def _are_images(maps: np.ndarray, n: int) -> bool:
    if maps.ndim != 3 or maps.shape[1:] != (n, n) or not len(maps):
        return False
    orthogonal = np.allclose(maps @ np.swapaxes(maps, 1, 2), np.eye(n))
    return orthogonal and np.allclose(maps[0], np.eye(n))


def _walk(rebuild, eps, sig):
    """Residuals along all paths, and their derivatives in the weights."""
    scale = NOISE * float(np.std(sig))

    def one(flat, eps):
        found = follow(rebuild(flat), eps)
        return found, found

    @jax.jit
    def walk(flat):
        slope, found = jax.vmap(jax.jacfwd(one, has_aux=True), (None, 0))(flat, eps)
        residual = ((found - sig) / scale).ravel()
        return residual, slope.reshape(residual.size, -1) / scale

    return walk


class _State(NamedTuple):
    flat: np.ndarray  # weights
    residual: np.ndarray
    slope: np.ndarray  # of the residual
    damping: float
    growth: float  # of the damping when the next step is refused
    losses: list[float]
    accepted: list[bool]

    @property
    def stands_still(self) -> bool:
        return self.damping > 1e4

    def step(self, from_prior: np.ndarray) -> np.ndarray:
        """Down the linearised loss, shortened by the damping."""
        curvature = self.slope.T @ self.slope + np.eye(len(self.flat)) / PRIOR**2
        down = -(self.slope.T @ self.residual + from_prior / PRIOR)
        damped = curvature + self.damping * np.diag(np.diag(curvature))
        return np.linalg.solve(damped, down)

    def after(self, value: float, gain: float) -> "_State":
        """Nielsen's damping, from the drop of the loss over that expected."""
        if gain > 0:
            factor, growth = max(1 / 3, 1 - (2 * gain - 1) ** 3), 2.0
        else:
            factor, growth = self.growth, 2 * self.growth
        return self._replace(
            damping=factor * self.damping,
            growth=growth,
            losses=[*self.losses, value],
            accepted=[*self.accepted, gain > 0],
        )


def _load(path, given: dict[str, np.ndarray]) -> _State | None:
    """Where the training with what is given stopped; None if it has not begun."""
    if path is None or not Path(path).exists():
        return None
    stored = load_arrays(path, "training of a network", (*_State._fields, *given))
    other = [f"`{n}`" for n in given if not np.array_equal(stored.pop(n), given[n])]
    if other:
        raise JaxmatError(
            f"`{path}` is of a training with other {' and '.join(other)}; give what it "
            "was begun with, or another path."
        )
    return _State(
        stored["flat"],
        stored["residual"],
        stored["slope"],
        float(stored["damping"]),
        float(stored["growth"]),
        stored["losses"].tolist(),
        stored["accepted"].tolist(),
    )
