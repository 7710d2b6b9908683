"""Linear elasticity, and the wrappers that turn a law or put it into a plane."""

from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jax.core import Tracer
from jaxtyping import PyTree

from jaxmat import crystals, mandel, rotations
from jaxmat._check import JaxmatError
from jaxmat._types import Mandel, Quaternion, Scalar, Stiffness, full_precision
from jaxmat.materials._base import AbstractMaterial, stiffness_of


class LinearElastic(AbstractMaterial):
    """Hooke's law, `sig = stiffness eps`.

    Attributes:
        stiffness: Mandel stiffness, GPa, 6x6 (3x3 in a plane). It is used as given;
            `crystals.check_stiffness` tells whether it is symmetric and positive.
    """

    stiffness: Stiffness

    @property
    def num_strains(self) -> int:
        return self.stiffness.shape[-1]

    @property
    def is_linear(self) -> bool:
        return True

    def init_state(self, key=None) -> None:
        return None

    @full_precision
    def update(self, eps, state, dt):
        return self.stiffness @ eps, state


class _Wrapper(AbstractMaterial):
    """A law of six strain components inside another: history and linearity are its."""

    law: AbstractMaterial

    def __check_init__(self):
        if self.law.num_strains != 6:
            raise JaxmatError(
                f"{type(self).__name__} wraps a law of {self.law.num_strains} strain "
                "components, expected 6; turn the law first, and put it into the plane "
                "last."
            )

    @property
    def is_linear(self) -> bool:
        return self.law.is_linear

    @property
    def has_symmetric_tangent(self) -> bool:
        return self.law.has_symmetric_tangent

    def init_state(self, key=None):
        return self.law.init_state(key)


class Oriented(_Wrapper):
    """A law turned from the crystal frame into the sample frame.

    Attributes:
        law: a law with six strain components, in the crystal frame.
        quaternion: crystal -> sample; normalised in use, so that an optimiser may
            leave the unit sphere.
    """

    quaternion: Quaternion

    @property
    def num_strains(self) -> int:
        return 6

    @full_precision
    def update(self, eps, state, dt):
        turn = mandel.rotation(rotations.to_matrix(self.quaternion))
        sig, state = self.law.update(turn.T @ eps, state, dt)
        return turn @ sig, state


@runtime_checkable
class KnowsPlaneStress(Protocol):
    """A law that answers in plane stress faster than by Newton's method."""

    def update_in_plane_stress(
        self, eps: Mandel, state: PyTree, dt: Scalar
    ) -> tuple[Mandel, PyTree]:
        """As `update`, with the three components of strain and stress in the plane.

        The state is that of `update`.
        """
        ...


class _InPlane(_Wrapper):
    """A law of which strain and stress are seen in the plane only."""

    @property
    def num_strains(self) -> int:
        return 3


class PlaneStrain(_InPlane):
    """A law whose strain stays in the plane: eps_33 = eps_23 = eps_13 = 0.

    Strain and stress have the components 11, 22, 12. The plane problem stands for the
    three-dimensional one only where x3 is normal to a mirror plane of the law;
    otherwise the in-plane stress drives out-of-plane shear, and three displacement
    components are needed.

    Raises:
        JaxmatError: if a linear law couples in-plane stretch to out-of-plane shear
            (checked on concrete values only).
    """

    def __check_init__(self):
        super().__check_init__()  # equinox runs this one first
        _check_plane_strain(self.law)

    def update(self, eps, state, dt):
        full = jnp.zeros(6, eps.dtype).at[mandel.PLANE].set(eps)
        sig, state = self.law.update(full, state, dt)
        return sig[mandel.PLANE], state


class PlaneStress(_InPlane):
    """A law with no stress out of the plane: sig_33 = sig_23 = sig_13 = 0.

    Strain and stress have the components 11, 22, 12. The out-of-plane strain is found
    by Newton's method (one step for a linear law) and differentiated implicitly, unless
    the law knows a shorter way (`KnowsPlaneStress`).
    """

    def update(self, eps, state, dt):
        if isinstance(self.law, KnowsPlaneStress):
            return self.law.update_in_plane_stress(eps, state, dt)

        def full(out):
            whole = jnp.zeros(6, eps.dtype).at[mandel.PLANE].set(eps)
            return whole.at[mandel.OUT_OF_PLANE].set(out)

        def traction(out, _=None):
            return self.law.update(full(out), state, dt)[0][mandel.OUT_OF_PLANE]

        out = jnp.zeros(3, eps.dtype)
        if self.is_linear:
            out = -jnp.linalg.solve(jax.jacfwd(traction)(out), traction(out))
        else:
            tolerance = 1e3 * float(jnp.finfo(eps.dtype).eps)
            newton = optx.Newton(rtol=tolerance, atol=tolerance)
            root = optx.root_find(traction, newton, out, throw=False)
            ok = root.result == optx.RESULTS.successful
            out = jnp.where(ok, root.value, jnp.nan)
        sig, state = self.law.update(full(out), state, dt)
        return sig[mandel.PLANE], state


def _check_plane_strain(law: AbstractMaterial) -> None:
    """As `crystals.check_plane_strain`; passes nonlinear laws and traced values."""
    leaves = jax.tree.leaves(eqx.filter(law, eqx.is_array))
    if law.is_linear and not any(isinstance(x, Tracer) for x in leaves):
        with jax.ensure_compile_time_eval():
            crystals.check_plane_strain(stiffness_of(law))
