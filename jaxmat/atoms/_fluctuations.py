"""Elastic moduli at a temperature, from the fluctuations of the stress in a run."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxmat._check import JaxmatError, check_positive, check_shape
from jaxmat._types import Scalar, Stiffness, full_precision
from jaxmat.atoms._atoms import Atoms, volume
from jaxmat.atoms._potential import AbstractPotential, check_covers, stress
from jaxmat.atoms._rest import born_moduli
from jaxmat.atoms._validate import check_finite
from jaxmat.mandel import from_tensor2, from_tensor4
from jaxmat.solve import by_platform


@full_precision
def thermal_moduli(
    law: AbstractPotential, samples: Atoms, temperature: Scalar | float
) -> Stiffness:
    """Isothermal stiffness of a box, from configurations that a thermostat visited.

    Second derivative of the free energy in Green's strain, over the volume:

        C = <C_Born> - V / T cov(stress) + N T / V (d_ik d_jl + d_il d_jk),

    of the virial stress, which its momenta, integrated exactly, join by the last term.
    It has all symmetries, under stress too; the derivative of the first Piola-Kirchhoff
    stress is then `C_ijkl + d_ik sig_jl`, with `sig` the mean stress and momenta's.

    The covariance of K independent samples errs by about sqrt(2 / K) of itself and is
    unbiased; slow motion that the run did not see is missing. With the samples of
    several runs in different minima take the mean of their moduli, or the scatter
    between minima counts as a fluctuation.

    Args:
        law: potential, smooth to second order at the cutoff; all pairs.
        samples: of one box, stacked along a leading axis, as `simulate` returns them
            for `observe=lambda motion: motion.atoms`.
        temperature: of the run, as an energy.

    Returns:
        Mandel stiffness, 6x6 or 3x3 in a plane, in the potential's energy per volume.

    Raises:
        JaxmatError: if there are fewer than two samples, they are not of one box or not
            finite, or the temperature is not positive; or as `energy`.

    References:
        Squire, Holt & Hoover (1969), Physica 42, 388-397.
        Lutsko (1989), J. Appl. Phys. 65, 2991-2997.
    """
    shape = samples.positions.shape
    if len(shape) != 3 or shape[0] < 2:
        raise JaxmatError(
            f"the positions of `samples` have shape {shape}; stack two configurations "
            "or more along a first axis."
        )
    check_finite(samples)
    _check_alike(samples)
    first = jax.tree.map(lambda x: x[0], samples)
    check_covers(law, first)
    check_positive("temperature", temperature)
    T = jnp.asarray(temperature, samples.positions.dtype)
    check_shape("temperature", T, (), hint="a single number")
    V = volume(first)

    def of_sample(now):
        sig, eye = stress(law, now), jnp.eye(shape[2], dtype=T.dtype)
        # Of the second derivative in F what is left without a change of shape.
        moduli = born_moduli(law, now) - jnp.einsum("ik,jl->ijkl", eye, sig)
        return from_tensor2(sig), from_tensor4(moduli)

    def one_by_one(samples):
        return jax.lax.map(of_sample, samples)

    sig, born = by_platform(samples, cpu=one_by_one, default=jax.vmap(of_sample))
    change = sig - jnp.mean(sig, axis=0)
    fluctuation = V / T * change.T @ change / (shape[0] - 1)
    momenta = 2 * shape[1] * T / V * jnp.eye(sig.shape[1], dtype=T.dtype)
    return jnp.mean(born, axis=0) - fluctuation + momenta


def _check_alike(samples: Atoms) -> None:
    for name, values in (("box", samples.box), ("species", samples.species)):
        if isinstance(values, Tracer):
            continue
        values = np.asarray(values)
        if np.ptp(values, axis=0).max() > 1e-6 * np.abs(values).max():
            raise JaxmatError(
                f"`{name}` is not the same in all samples; give those of one box."
            )
