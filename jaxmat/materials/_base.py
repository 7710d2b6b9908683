"""What a material is: stress for strain, and a state that remembers.

Everything in the library that answers stress for strain obeys this protocol: a crystal,
an oriented grain, a laminate, a polycrystal solved on a grid. Drivers, tangents and
losses are written once against it.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree
from numpy.typing import ArrayLike

from jaxmat._check import JaxmatError, check_shape
from jaxmat._types import Mandel, Scalar, Stiffness, full_precision


class AbstractMaterial(eqx.Module):
    """One material point at small strain.

    Parameters are the leaves of the object, so that `jax.grad` reaches them; history is
    in the state, which is a pytree of arrays and never trainable. There is no batch
    axis: use `jax.vmap`.
    """

    @property
    @abc.abstractmethod
    def num_strains(self) -> int:
        """Mandel components of strain and stress: six, or three in a plane."""

    @property
    @abc.abstractmethod
    def is_linear(self) -> bool:
        """Whether stress is a constant, symmetric stiffness times strain."""

    @property
    def has_symmetric_tangent(self) -> bool:
        """Whether `tangent` is symmetric everywhere, so that stress has a potential.

        Only then do solvers take conjugate gradients. False unless a law says so.
        """
        return self.is_linear

    @abc.abstractmethod
    def init_state(self, key: Key[Array, ""] | None = None) -> PyTree:
        """State of the virgin material; None if it has no history."""

    @abc.abstractmethod
    def update(self, eps: Mandel, state: PyTree, dt: Scalar) -> tuple[Mandel, PyTree]:
        """Stress and new state at the end of a step.

        Args:
            eps: total Mandel strain at the end of the step.
            state: state at its beginning.
            dt: duration of the step, seconds.

        Returns:
            Mandel stress, GPa, and the new state.
        """


def check_small_strain(*materials: object) -> None:
    """Raise unless each answers Mandel strain with Mandel stress."""
    for material in materials:
        if isinstance(material, AbstractMaterial):
            continue
        if isinstance(material, type):
            raise JaxmatError(
                f"a law is the class {material.__name__}; make one of it, with its "
                "constants."
            )
        name = type(material).__name__
        advice = "give laws of small strain, such as materials.LinearElastic"
        if hasattr(material, "update"):
            advice = "wrap it in materials.SmallStrain"
        raise JaxmatError(f"a law is of type {name}; {advice}.")


def in_precision_of(
    material: AbstractMaterial, *arrays: ArrayLike
) -> tuple[Float[Array, "..."], ...]:
    """Arrays in the float type of the material's numbers, or the widest of their own.

    A path in double precision so neither widens a material of single precision, nor
    the other way round.
    """
    numbers = [x for x in jax.tree.leaves(material) if eqx.is_inexact_array(x)]
    dtype = jnp.result_type(float, *(numbers or map(jnp.asarray, arrays)))
    return tuple(jnp.asarray(x, dtype) for x in arrays)


@full_precision  # also of a user's law
def tangent(
    material: AbstractMaterial, eps: Mandel, state: PyTree, dt: Scalar | float
) -> Stiffness:
    """Consistent tangent `d sig / d eps` of one step.

    Args:
        material: any material.
        eps: Mandel strain at the end of the step.
        state: state at its beginning.
        dt: duration of the step, seconds.

    Returns:
        Mandel matrix, GPa, 6x6 (3x3 in a plane).

    Raises:
        JaxmatError: if the material is none of small strain, or `eps` of another shape.
    """
    check_small_strain(material)
    check_shape("eps", eps, (material.num_strains,), hint="Mandel strain of one step")
    columns = jnp.eye(eps.size, dtype=eps.dtype)

    def derivative(direction):
        def stress(eps):
            return material.update(eps, state, jnp.asarray(dt))[0]

        return jax.jvp(stress, (eps,), (direction,))[1]

    return jax.vmap(derivative, out_axes=-1)(columns)


def stiffness_of(material: AbstractMaterial) -> Stiffness:
    """Stiffness of a linear material, GPa: its tangent at zero strain."""
    (eps,) = in_precision_of(material, jnp.zeros(material.num_strains))
    return tangent(material, eps, material.init_state(), jnp.ones((), eps.dtype))
