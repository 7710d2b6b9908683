"""Finite strain: from the deformation gradient to the first Piola-Kirchhoff stress.

A sibling of the protocol in `_base`, not a mode of it: work is `P : dF` here and
`sig : d eps` there. `SmallStrain` takes a law from here to there, `FiniteStrain` back.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from jaxmat import mandel
from jaxmat._check import JaxmatError, check_shape
from jaxmat._types import Matrix, Scalar, Stiffness, full_precision
from jaxmat.materials._base import AbstractMaterial


class AbstractFiniteMaterial(eqx.Module):
    """One material point at finite strain.

    Parameters are the leaves, history is in the state, and there is no batch axis, as
    in `AbstractMaterial`. A law is objective: `P(Q F) = Q P(F)` for any rotation `Q`.
    """

    @abc.abstractmethod
    def init_state(self, key: Key[Array, ""] | None = None) -> PyTree:
        """State of the virgin material; None if it has no history."""

    @abc.abstractmethod
    def update(self, F: Matrix, state: PyTree, dt: Scalar) -> tuple[Matrix, PyTree]:
        """Stress and new state at the end of a step.

        Args:
            F: deformation gradient at the end of the step, `d x_i / d X_j`.
            state: state at its beginning.
            dt: duration of the step, seconds.

        Returns:
            First Piola-Kirchhoff stress, GPa (force per area of the undeformed body,
            conjugate to `F`), and the new state.
        """


class SaintVenantKirchhoff(AbstractFiniteMaterial):
    """Hooke's law between second Piola-Kirchhoff stress and Green-Lagrange strain.

    `P = F S` with `S = stiffness E` and `E = (F^T F - 1) / 2`: hyperelastic with the
    energy `E : stiffness : E / 2`, for a crystal of any symmetry. Meant for small
    strains under any rotation. Beyond, it softens in compression (a column held
    sideways bears most at a stretch of 1/sqrt(3)) and lets a body collapse.

    Attributes:
        stiffness: 6x6 Mandel stiffness, GPa, in the undeformed frame.

    Raises:
        JaxmatError: if `stiffness` is not 6x6.

    References:
        Holzapfel (2000), Nonlinear Solid Mechanics, chapter 6.
        Raoult (1986), Apl. Mat. 31, 417-419 (that it is not polyconvex).
    """

    stiffness: Stiffness

    def __check_init__(self):
        hint = "give the stiffness of the solid, not of a plane"
        check_shape("stiffness", self.stiffness, (6, 6), hint=hint)

    def init_state(self, key=None) -> None:
        return None

    @full_precision
    def update(self, F, state, dt):
        green_lagrange = (F.T @ F - jnp.eye(3, dtype=F.dtype)) / 2
        S = mandel.to_tensor2(self.stiffness @ mandel.from_tensor2(green_lagrange))
        return F @ S, state


class SmallStrain(AbstractMaterial):
    """A finite-strain law stretched without rotation: `F = 1 + eps`.

    For such an `F` the work `P : dF` is `sym(P) : d eps`, so `sig = sym(P)`: a
    hyperelastic law stays one, with a symmetric tangent that at zero strain is its
    stiffness. Nothing is linearised: `eps` is Biot's strain, change of length over
    undeformed length, and `sig` its conjugate, per undeformed area. Both agree with
    those of small strain to first order only. A principal strain of -1 leaves no
    volume; there and below the answer means nothing.

    Attributes:
        law: a finite-strain law.

    References:
        Ogden (1984), Non-linear Elastic Deformations, section 3.5 (conjugate pairs).
    """

    law: AbstractFiniteMaterial

    @property
    def num_strains(self) -> int:
        return 6

    @property
    def is_linear(self) -> bool:
        return False

    def init_state(self, key=None):
        return self.law.init_state(key)

    def update(self, eps, state, dt):
        F = jnp.eye(3, dtype=eps.dtype) + mandel.to_tensor2(eps)
        P, state = self.law.update(F, state, dt)
        return mandel.from_tensor2(P), state


class FiniteStrain(AbstractFiniteMaterial):
    """A law of `eps` and `sig` as one of finite strain: it sees Biot's strain.

    The polar decomposition `F = R U` leaves `eps = U - 1`, which no rotation changes,
    and whose conjugate `sig` makes `P = 2 F Y` with `U Y + Y U = sig`. So the law is
    objective whatever it is, the work `P : dF` is `sig : d eps`, and a hyperelastic law
    stays one. Of an objective law `SmallStrain` and this are inverses of each other: a
    network of finite laws is `FiniteStrain(prnn([SmallStrain(law), ...], ...))`.

    Attributes:
        law: a material of six strain components, undeformed frame.

    Raises:
        JaxmatError: if `law` is one of a plane.

    References:
        Ogden (1984), Non-linear Elastic Deformations, section 3.5 (conjugate pairs).
    """

    law: AbstractMaterial

    def __check_init__(self):
        if self.law.num_strains != 6:
            raise JaxmatError(
                f"`law` has {self.law.num_strains} strain components; a deformation "
                "gradient is 3x3, so give the solid's law, not one put into a plane."
            )

    def init_state(self, key=None):
        return self.law.init_state(key)

    @full_precision
    def update(self, F, state, dt):
        U = _root(F.T @ F)
        eps = mandel.from_tensor2(U - jnp.eye(3, dtype=F.dtype))
        sig, state = self.law.update(eps, state, dt)
        return 2 * F @ _split(U, mandel.to_tensor2(sig)), state


@jax.custom_jvp
@full_precision
def _root(C: Matrix) -> Matrix:
    """Square root of a positive definite matrix, smooth where eigenvalues meet."""
    values, vectors = jnp.linalg.eigh(C)
    return (vectors * jnp.sqrt(values)) @ vectors.T


@_root.defjvp
def _root_jvp(primals, tangents):
    U = _root(*primals)
    return U, _split(U, *tangents)


@full_precision
def _split(U: Matrix, H: Matrix) -> Matrix:
    """The symmetric `Y` with `U Y + Y U = H`, for symmetric `H`."""
    one = jnp.eye(3, dtype=U.dtype)
    both = jnp.kron(U, one) + jnp.kron(one, U)
    return jnp.linalg.solve(both, H.ravel()).reshape(3, 3)
