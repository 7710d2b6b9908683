"""Material points of several kinds, held in one array each for strain and stress."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from jaxmat._types import Scalar
from jaxmat.cells._media import virgin
from jaxmat.materials import AbstractMaterial


def init_states(
    laws: Sequence[AbstractMaterial],
    counts: Sequence[int],
    key: Key[Array, ""] | None,
) -> tuple[PyTree, ...]:
    """States of so many points of each kind; without a key the same every time.

    Where chance decides how a law begins, points of one kind begin differently, without
    a key as well: eight boxes of atoms that are one and the same would be one.
    """
    keys = jax.random.split(jax.random.key(0) if key is None else key, len(laws))
    return tuple(map(virgin, laws, counts, keys))


def respond(
    laws: Sequence[AbstractMaterial],
    counts: Sequence[int],
    eps: Float[Array, "points n"],
    states: Sequence[PyTree],
    dt: Scalar,
) -> tuple[Float[Array, "points n"], tuple[PyTree, ...]]:
    """Stresses and new states of points that are sorted by kind."""
    stresses, after, first = [], [], 0
    for law, count, before in zip(laws, counts, states, strict=True):
        answer = jax.vmap(law.update, (0, 0, None))
        sig, new = answer(eps[first : first + count], before, dt)
        stresses.append(sig)
        after.append(new)
        first += count
    return jnp.concatenate(stresses), tuple(after)


def held(laws: PyTree) -> Any:
    """The same with constants that no derivative reaches; functions stay."""
    return jax.tree.map(
        lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, laws
    )
