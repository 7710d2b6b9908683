"""Physically recurrent neural networks: materials between two linear layers.

An encoder decides the strain that each of a few material points sees, the points answer
with stress and remember, a decoder combines their stresses. Path dependence, unloading
and rate effects are those of the points; nothing else has a memory.

References:
    Maia, Rocha, Kerfriden & van der Meer (2023), Comput. Methods Appl. Mech. Eng. 407,
    115934.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from jaxmat._check import JaxmatError, check_option, check_positive
from jaxmat._types import full_precision
from jaxmat.cells import _points
from jaxmat.cells._media import as_laws
from jaxmat.materials import AbstractMaterial

DECODERS = ("positive", "normalised", "tied")


class PRNN(AbstractMaterial):
    """A material made of material points. Build with `prnn`.

    The strain of point i is `encoder[i] @ eps`; the decoders make of the stresses sig_i

    - "positive": sum_i softplus(weights[i]) @ sig_i, every entry positive;
    - "normalised": for each component the mean of the points, weighted by a softmax;
    - "tied": sum_i w_i encoder[i]^T sig_i with w the softmax of one number per point.
      Stress is then conjugate to strain as Hill and Mandel ask: the work is the mean
      work of the points, and the tangent is symmetric if theirs is.

    Without a key it begins the same way every time, and points whose law begins by
    chance (boxes of atoms) begin apart.

    Attributes:
        laws: one for each kind of point, GPa.
        counts: points of each kind, static.
        encoder: strain of each point from the strain.
        weights: of the decoder, before they are made positive.
        decoder: "positive", "normalised" or "tied", static.
        learn_laws: whether derivatives reach the constants of the laws, static.
    """

    laws: tuple[AbstractMaterial, ...]
    counts: tuple[int, ...] = eqx.field(static=True)
    encoder: Float[Array, "points n n"]
    weights: (
        Float[Array, "points n n"] | Float[Array, "points n"] | Float[Array, " points"]
    )
    decoder: str = eqx.field(static=True)
    learn_laws: bool = eqx.field(static=True)

    @property
    def num_strains(self) -> int:
        return self.encoder.shape[-1]

    @property
    def is_linear(self) -> bool:
        """Only "tied" keeps the symmetry that a linear law has."""
        return self.decoder == "tied" and all(law.is_linear for law in self.laws)

    @property
    def has_symmetric_tangent(self) -> bool:
        """Again only "tied" keeps what its laws have."""
        symmetric = all(law.has_symmetric_tangent for law in self.laws)
        return self.decoder == "tied" and symmetric

    def init_state(self, key: Key[Array, ""] | None = None) -> PyTree:
        return _points.init_states(self.laws, self.counts, key)

    @full_precision
    def update(self, eps, state, dt):
        local = self.encoder @ eps
        laws = self.laws if self.learn_laws else _points.held(self.laws)
        sig, states = _points.respond(laws, self.counts, local, state, dt)
        return self._decode(sig), states

    def _decode(self, sig: Float[Array, "points n"]) -> Float[Array, " n"]:
        if self.decoder == "positive":
            return jnp.einsum("pij,pj->i", jax.nn.softplus(self.weights), sig)
        shares = jax.nn.softmax(self.weights, axis=0)
        if self.decoder == "normalised":
            return jnp.sum(shares * sig, axis=0)
        return jnp.einsum("p,pij,pi->j", shares, self.encoder, sig)


def prnn(
    laws: Sequence[AbstractMaterial] | AbstractMaterial,
    counts: Sequence[int] | int,
    *,
    key: Key[Array, ""],
    decoder: str = "tied",
    learn_laws: bool = False,
    scatter: float = 0.3,
) -> PRNN:
    """A network of material points with random first weights, as a material.

    Every point first sees nearly the strain of the whole, and all count alike: an
    untrained network is close to Voigt's average of its points, but for a "positive"
    decoder, whose weights begin with noise (its stress is some 10 % too large).

    Args:
        laws: one law for each kind of point, of as many strain components as the
            network is to have: `PlaneStress(law)` for a network in plane stress.
        counts: points of each kind.
        key: random key of the first weights.
        decoder: "positive", "normalised" or "tied"; see `PRNN`.
        learn_laws: let derivatives reach the constants of the laws. An optimiser that
            decays weights shrinks them also without.
        scatter: standard deviation of the first encoder around the identity.

    Returns:
        A `PRNN`, which `drive`, `tangent` and `training.fit` accept.

    Raises:
        JaxmatError: if there is no such decoder, laws are none of small strain or do
            not agree in their components, laws and counts do not match, or `scatter` is
            negative.
    """
    laws = as_laws(laws)
    counts = tuple(np.ravel(counts).tolist())
    check_option("decoder", decoder, DECODERS)
    whole = all(isinstance(n, int) for n in counts)
    if not whole or len(laws) != len(counts) or not laws or min(counts) < 1:
        raise JaxmatError(
            f"`counts` is {counts} for {len(laws)} laws; give the number of points, "
            "1 or more, for each law."
        )
    check_positive("scatter", scatter, zero=True)
    sizes = {law.num_strains for law in laws}
    if len(sizes) > 1:
        raise JaxmatError(
            f"the laws have {sorted(sizes)} strain components; put all of them into "
            "the same plane, or none."
        )
    (n,), points = sizes, sum(counts)
    noise_key, weight_key = jax.random.split(key)
    noise = jax.random.normal(noise_key, (points, n, n), float)
    encoder = jnp.eye(n) + scatter * noise / jnp.sqrt(n)
    if decoder == "positive":
        # softplus of it is the identity over the number of points, and a little more.
        mean = jnp.log(jnp.expm1((jnp.eye(n) + 0.01) / points))
        weights = mean + 0.1 * jax.random.normal(weight_key, (points, n, n), float)
    else:
        weights = jnp.zeros((points, n) if decoder == "normalised" else points)
    return PRNN(laws, counts, encoder, weights, decoder, learn_laws)
