"""Multilinear elements on voxels: strain of a nodal field, nodal force of a stress.

On a voxel with local coordinates `xi` in [-1/2, 1/2] the displacement is
`u = sum_m a_m prod_{d in m} xi_d` over subsets `m` of the axes, and its gradient is a
polynomial `sum_s G_s xi^s` with `(G_s)_d = a_{s + d} / h_d`. The monomials are
orthogonal, `<xi^s xi^s> = 12^-|s|`, so that for a law that is constant in the voxel

    energy = sum_s 12^-|s| W(G_s)

is the exact integral: three strain evaluations per pixel where Gauss needs four, seven
per voxel where it needs eight. One-point (`reduced`) integration keeps `s = {}` alone.

Fields are tuples of component arrays, not one array with a channel axis: XLA's CPU code
for shifted sums was measured 2 to 5 times faster so, batched or not.
"""

import functools
import operator
from collections.abc import Callable, Iterable
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jaxmat.mandel import PLANE
from jaxmat.solve import by_platform

Component = Float[Array, "..."]
Nodal = tuple[Component, ...]  # one array per displacement component
Amplitudes = dict[tuple[int, ...], Component]  # mask -> array
ModeStrain = dict[
    tuple[int, ...], dict[int, Component]
]  # mode -> Mandel index -> array

_INDEX = {(0, 0): 0, (1, 1): 1, (2, 2): 2, (1, 2): 3, (0, 2): 4, (0, 1): 5}
_PLANE_INDEX = {int(full): k for k, full in enumerate(PLANE)}
_MOMENT = 1 / 12


def mandel_slot(i: int, d: int, plane: bool) -> tuple[int, float]:
    """Mandel index and factor by which `du_i/dx_d` enters the strain."""
    index = _INDEX[min(i, d), max(i, d)]
    return (_PLANE_INDEX[index] if plane else index), 1.0 if i == d else 0.5**0.5


def subsets(ndim: int, scheme: str) -> list[tuple[int, ...]]:
    """Strain modes `s` of a scheme: all proper subsets of the axes, or only {}."""
    top = ndim if scheme == "full" else 1
    return [s for size in range(top) for s in combinations(range(ndim), size)]


def add(terms: Iterable[Array]) -> Array:
    """Sum of at least one array, without the integer zero that `sum` starts from."""
    return functools.reduce(operator.add, terms)


def _with(s: tuple[int, ...], d: int) -> tuple[int, ...]:
    return tuple(sorted((*s, d)))


def _slice(x: Array, axis: int, start: int, stop: int | None) -> Array:
    return jax.lax.slice_in_dim(
        x, start, x.shape[axis] if stop is None else stop, axis=axis
    )


def amplitudes(
    nodes: Array, masks: set[tuple[int, ...]]
) -> dict[tuple[int, ...], Array]:
    """Coefficients `a_m` on the voxels between the given nodes, for the given `m`."""
    level: dict[tuple[int, ...], Array] = {(): nodes}
    for axis in range(nodes.ndim):
        finer = {}
        for mask, x in level.items():
            low, high = _slice(x, axis, 0, x.shape[axis] - 1), _slice(x, axis, 1, None)
            finer[mask] = (low + high) / 2
            finer[(*mask, axis)] = high - low
        level = {
            m: x for m, x in finer.items() if any(set(m) <= set(full) for full in masks)
        }
    return {m: level[m] for m in masks}


def spread(forces: Amplitudes, ndim: int) -> Array:
    """Adjoint of `amplitudes`, at the nodes that have all their voxels."""
    level = forces
    for axis in reversed(range(ndim)):
        coarser: dict[tuple[int, ...], Array] = {}
        for mask, x in level.items():
            low, high = _slice(x, axis, 0, x.shape[axis] - 1), _slice(x, axis, 1, None)
            rest = tuple(d for d in mask if d != axis)
            part = low - high if axis in mask else (low + high) / 2
            coarser[rest] = coarser[rest] + part if rest in coarser else part
        level = coarser
    return level[()]


def strain(
    nodes: Nodal, spacing: tuple[float, ...], scheme: str, plane: bool
) -> ModeStrain:
    """Mandel strain of every mode; components that vanish identically are absent."""
    modes = subsets(len(spacing), scheme)
    masks = {_with(s, d) for s in modes for d in range(len(spacing)) if d not in s}
    parts = [amplitudes(u, masks) for u in nodes]
    out: ModeStrain = {s: {} for s in modes}
    for s in modes:
        for i, part in enumerate(parts):
            for d in range(len(spacing)):
                if d in s:
                    continue
                k, factor = mandel_slot(i, d, plane)
                term = part[_with(s, d)] * (factor / spacing[d])
                out[s][k] = out[s][k] + term if k in out[s] else term
    return out


def amplitude_forces(
    stress: ModeStrain, spacing: tuple[float, ...], num_components: int, plane: bool
) -> tuple[Amplitudes, ...]:
    """Forces on the coefficients `a_m`: the adjoint of `strain` voxel by voxel.

    Per voxel volume, weighted by the moments of the modes.
    """
    amplitude: tuple[Amplitudes, ...] = tuple({} for _ in range(num_components))
    for s, sig in stress.items():
        for i, forces in enumerate(amplitude):
            for d in range(len(spacing)):
                if d in s:
                    continue
                k, factor = mandel_slot(i, d, plane)
                term = sig[k] * (factor * _MOMENT ** len(s) / spacing[d])
                m = _with(s, d)
                forces[m] = forces[m] + term if m in forces else term
    return amplitude


def in_memory(fn: Callable[..., PyTree], *args: PyTree) -> PyTree:
    """`fn(*args)`, kept from fusing with what reads it.

    Every nodal force reads the eight voxels around it. XLA's CPU compiler would fuse,
    and compute each voxel's stress eight times: 840 ns a voxel where 110 do. Up to jax
    0.11.0 it drops optimisation barriers before it fuses, so there a branch that it
    cannot decide takes the barrier's place.
    """

    def branch(*args):
        shapes = jax.eval_shape(fn, *args)

        def nothing(*_):
            return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        # Never equal, but XLA does not run random generators while it compiles.
        key = jnp.zeros(4, jnp.uint32)
        _, bits = jax.lax.rng_bit_generator(key, (1,), dtype=jnp.uint32)
        return jax.lax.cond(bits[0] != np.uint32(12345), fn, nothing, *args)

    def barrier(*args):
        return jax.lax.optimization_barrier(fn(*args))

    return by_platform(*args, cpu=branch, default=barrier)
