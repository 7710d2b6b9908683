"""Deep material networks: laminates of laminates, with materials at their leaves.

References:
    Liu, Wu & Koishi (2019), Comput. Methods Appl. Mech. Eng. 345, 1138-1168.
    Gajek, Schneider & Böhlke (2020), J. Mech. Phys. Solids 142, 103984 (one system of
    equations for all interfaces, without rotations).
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from jaxmat import mandel
from jaxmat._check import JaxmatError, check_whole
from jaxmat._types import Mandel, Scalar, full_precision
from jaxmat.cells import _points
from jaxmat.cells._media import as_laws
from jaxmat.materials import AbstractMaterial
from jaxmat.solve import poison

MAX_STEPS = 100

MAX_DEPTH = 10
"""The equations for the jumps are dense: two thousand at 1024 leaves in a plane."""

RIDGE = 1e3
"""On the diagonal of the equations for the jumps, in units of rounding."""


class DMNState(NamedTuple):
    """History of a deep material network.

    Attributes:
        leaves: states of the leaves of each law.
        jumps: amplitude of the strain's jump across each interface, where the next
            search begins.
    """

    leaves: tuple[PyTree, ...]
    jumps: Float[Array, "interfaces d"]


class DeepMaterialNetwork(AbstractMaterial):
    """A binary tree of laminates. Build with `deep_material_network`.

    The halves of a node are two layers: strain jumps by `sym(jump normal)` across their
    interface, traction does not. All jumps are found together by Newton's method and
    are differentiated once, by the implicit function theorem. Where none are found,
    the stress is NaN.

    Attributes:
        laws: of the phases, GPa, with symmetric and positive tangents. The leaves, from
            the first to the last, have them in turn.
        weights: of the leaves, sorted by law; their softmax is the volume fractions.
        normals: of the interfaces, the root's first, then level by level; any length
            but zero.
        learn_laws: whether derivatives reach the constants of the laws, static.
    """

    laws: tuple[AbstractMaterial, ...]
    weights: Float[Array, " leaves"]
    normals: Float[Array, "interfaces d"]
    learn_laws: bool = eqx.field(static=True)

    @property
    def num_strains(self) -> int:
        return self.laws[0].num_strains

    @property
    def is_linear(self) -> bool:
        return all(law.is_linear for law in self.laws)

    @property
    def has_symmetric_tangent(self) -> bool:
        return all(law.has_symmetric_tangent for law in self.laws)

    @property
    def _counts(self) -> tuple[int, ...]:
        return (len(self.weights) // len(self.laws),) * len(self.laws)

    def init_state(self, key: Key[Array, ""] | None = None) -> DMNState:
        leaves = _points.init_states(self.laws, self._counts, key)
        return DMNState(leaves, jnp.zeros_like(self.normals))

    @full_precision
    def update(self, eps, state, dt):
        laws = self.laws if self.learn_laws else _points.held(self.laws)
        system = _System(self, laws, eps, state.leaves, dt)
        held = jax.lax.stop_gradient(system)
        start = jax.lax.stop_gradient(state.jumps)
        jumps, slope, converged = _newton(held, start)
        # One more step, which carries the derivatives.
        jumps = jumps - _solve(slope, system.balance(jumps)[0])
        sig, leaves = system.respond(jumps)
        return poison(system.shares @ sig, converged), DMNState(leaves, jumps)


class _Line(NamedTuple):
    """A step of Newton's, and the part of it that holds the lowest point."""

    start: Float[Array, "interfaces d"]
    direction: Float[Array, "interfaces d"]
    slope: Scalar  # at the start, downwards
    low: Scalar  # lengths that are too short and too long, the second 0 at first
    slope_low: Scalar
    high: Scalar
    slope_high: Scalar

    @classmethod
    def begin(cls, start: Array, direction: Array, traction: Array) -> "_Line":
        slope = jnp.sum(traction * direction)
        zero = jnp.zeros_like(slope)
        return cls(start, direction, slope, zero, slope, zero, zero)

    @property
    def length(self) -> Scalar:
        span = jnp.where(self.high > 0, self.slope_low - self.slope_high, 1.0)
        share = jnp.clip(self.slope_low / span, 0.2, 0.8)
        return jnp.where(self.high > 0, self.low + share * (self.high - self.low), 1.0)

    def ends_with(self, slope: Scalar) -> Array:
        """Whether a slope is small enough, or that of a whole step and downwards."""
        whole = self.high == 0
        return (jnp.abs(slope) <= 0.5 * self.slope) | (whole & (slope > 0))

    def shortened(self, slope: Scalar) -> "_Line":
        length, too_long = self.length, slope < 0
        return self._replace(
            low=jnp.where(too_long, self.low, length),
            slope_low=jnp.where(too_long, self.slope_low, slope),
            high=jnp.where(too_long, length, self.high),
            slope_high=jnp.where(too_long, slope, self.slope_high),
        )


class _System(eqx.Module):
    """Jumps of traction for jumps of strain, at the end of a step."""

    network: DeepMaterialNetwork
    laws: tuple[AbstractMaterial, ...]
    eps: Mandel
    states: tuple[PyTree, ...]
    dt: Scalar

    @property
    def shares(self) -> Float[Array, " leaves"]:
        return jax.nn.softmax(self.network.weights)

    @property
    def _weights(self) -> Float[Array, "leaves interfaces"]:
        """Of the jumps in the strain of each leaf: zero outside a node, mean zero."""
        halves = _halves(len(self.shares), len(self.network.laws))
        left, right = jnp.asarray(halves, self.shares.dtype)
        lower, upper = self.shares @ left, self.shares @ right
        return (left * upper - right * lower) / (lower + upper)

    @property
    def _jump_strains(self) -> Float[Array, "interfaces n d"]:
        """`sym(e_j normal)` for the unit vectors e_j."""
        normals = self.network.normals
        units = normals / jnp.linalg.norm(normals, axis=1, keepdims=True)

        def strain(normal, axis):
            dyad = jnp.outer(axis, normal)
            return mandel.from_tensor2((dyad + dyad.T) / 2)

        axes = jnp.eye(normals.shape[1], dtype=normals.dtype)
        over_axes = jax.vmap(strain, (None, 0), out_axes=-1)
        return jax.vmap(over_axes, (0, None))(units, axes)

    def strains(self, jumps: Array) -> Float[Array, "leaves n"]:
        local = jnp.einsum("ind,id->in", self._jump_strains, jumps)
        return self.eps + self._weights @ local

    def respond(self, jumps: Array) -> tuple[Float[Array, "leaves n"], PyTree]:
        """Stresses and states of the leaves."""
        return self._answer(self.strains(jumps))

    def balance(self, jumps: Array) -> tuple[Float[Array, "interfaces d"], Scalar]:
        """Traction out of balance, and the size of what is in it.

        The former is the slope in the jumps of the mean work.
        """
        sig, _ = self.respond(jumps)
        traction = self._project(self.shares[:, None] * sig)
        return traction, self.shares @ jnp.linalg.norm(sig, axis=1)

    def slope(self, jumps: Array) -> Float[Array, "interfaces d interfaces d"]:
        """Derivative of the traction: symmetric, and positive if the tangents are."""
        eps = self.strains(jumps)

        def column(direction):
            along = jnp.broadcast_to(direction, eps.shape)
            return jax.jvp(lambda eps: self._answer(eps)[0], (eps,), (along,))[1]

        columns = jnp.eye(self.eps.size, dtype=eps.dtype)
        tangents = jax.vmap(column, out_axes=-1)(columns)
        weights, strains = self._weights, self._jump_strains
        return jnp.einsum(
            "l,li,lj,inc,lnm,jmd->icjd",
            *(self.shares, weights, weights, strains, tangents, strains),
            optimize="optimal",
        )

    def _answer(self, eps: Array) -> tuple[Float[Array, "leaves n"], PyTree]:
        counts = self.network._counts
        return _points.respond(self.laws, counts, eps, self.states, self.dt)

    def _project(self, sig: Array) -> Float[Array, "interfaces d"]:
        return jnp.einsum("li,inc,ln->ic", self._weights, self._jump_strains, sig)


def deep_material_network(
    laws: Sequence[AbstractMaterial] | AbstractMaterial,
    depth: int,
    *,
    key: Key[Array, ""],
    learn_laws: bool = False,
) -> DeepMaterialNetwork:
    """A binary tree of laminates in random directions, as a material.

    Args:
        laws: one for each phase, in number a power of two (repeat one to weigh it
            more), of as many strain components as the network is to have.
        depth: levels of interfaces; there are 2^depth leaves, at least one of each law.
        key: random key of the first normals.
        learn_laws: let derivatives reach the constants of the laws.

    Returns:
        A `DeepMaterialNetwork` whose leaves have equal volumes.

    Raises:
        JaxmatError: if laws and depth do not fit, the depth is over `MAX_DEPTH`, or the
            laws do not agree in their components.
    """
    laws = as_laws(laws)
    check_whole("depth", depth, 1)
    if depth > MAX_DEPTH:
        raise JaxmatError(
            f"`depth` is {depth}, which is 2^{depth} leaves; give at most {MAX_DEPTH}."
        )
    leaves = 2**depth
    if not laws or leaves % len(laws):
        raise JaxmatError(
            f"`depth` is {depth} for {len(laws)} laws; give 1, 2, 4, ... laws and a "
            "depth with a leaf for each."
        )
    sizes = {law.num_strains for law in laws}
    if len(sizes) > 1:
        raise JaxmatError(
            f"the laws have {sorted(sizes)} strain components; put all of them into "
            "the same plane, or none."
        )
    axes = 2 if sizes == {3} else 3
    normals = jax.random.normal(key, (leaves - 1, axes), float)
    return DeepMaterialNetwork(laws, jnp.zeros(leaves), normals, learn_laws)


def _halves(leaves: int, laws: int) -> tuple[np.ndarray, np.ndarray]:
    """Which leaves, sorted by law, lie in the first and second half of each node."""
    left, right = np.zeros((2, leaves, leaves - 1))
    for leaf in range(leaves):
        node = leaf + leaves - 1  # counted from the root, level by level
        while node:
            parent = (node - 1) // 2
            (left if node % 2 else right)[leaf, parent] = 1
            node = parent
    order = np.argsort(np.arange(leaves) % laws, kind="stable")
    return left[order], right[order]


def _newton(system: _System, jumps: Array) -> tuple[Array, Array, Array]:
    """Jumps in balance, to half the digits, the slope there, and whether they are.

    Newton's steps on the mean work, which is convex in the jumps. A step that goes too
    far is shortened until the slope along it has halved. Less will not do: short of
    the yield of a layer that unloads, every next step would be too long again.
    """
    tolerance = jnp.finfo(jumps.dtype).eps ** 0.5

    def unfinished(carry):
        k, done, *_ = carry
        return (k < MAX_STEPS) & ~done

    def step(carry):
        k, _, slope, line = carry
        trial = line.start - line.length * line.direction
        traction, size = system.balance(trial)
        done = jnp.linalg.norm(traction) <= tolerance * size
        downwards = jnp.sum(traction * line.direction)
        new_slope = system.slope(trial)
        following = jax.tree.map(
            lambda new, old: jnp.where(done | line.ends_with(downwards), new, old),
            *(
                (new_slope, _Line.begin(trial, _solve(new_slope, traction), traction)),
                (slope, line.shortened(downwards)),
            ),
        )
        return k + 1, done, *following

    # A line of no length, which ends at once.
    line = _Line.begin(jumps, jnp.zeros_like(jumps), jumps)
    slope = jnp.zeros((*jumps.shape, *jumps.shape), jumps.dtype)
    start = (0, jnp.asarray(False), slope, line)
    _, done, slope, line = jax.lax.while_loop(unfinished, step, start)
    return line.start, slope, done


def _solve(
    slope: Float[Array, "interfaces d interfaces d"],
    traction: Float[Array, "interfaces d"],
) -> Float[Array, "interfaces d"]:
    """Jumps for a traction; the least where saturated layers leave them free."""
    size = traction.size
    matrix = slope.reshape(size, size)
    ridge = RIDGE * jnp.finfo(matrix.dtype).eps * jnp.trace(matrix) / size
    matrix = matrix + ridge * jnp.eye(size, dtype=matrix.dtype)
    return jnp.linalg.solve(matrix, traction.reshape(size)).reshape(traction.shape)
