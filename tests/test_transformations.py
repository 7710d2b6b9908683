"""The transformation contract: every public numerical function, under every transform.

One list names them all with example arguments. Each is the same compiled and not,
batched and in a loop, in float32 answers in float32 and lets no GPU round its products,
and where it is differentiable its forward and reverse derivatives are finite and are
those of a central difference. A name that is neither in the list nor exempt for a
reason given fails the last test.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import contract
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmat
from jaxmat import (
    atoms,
    cells,
    crystals,
    mandel,
    materials,
    microstructure,
    rotations,
    solve,
    surrogates,
    symmetry,
)
from jaxmat._types import full_precision
from jaxmat.microstructure import Grid, Microstructure, OrientationMap, Phase

BATCH = 3
STEP = 1e-5
# A central difference of this step errs by 1e-10 of the third derivative and, by
# rounding, 1e-11 of the value; the solves are converged to 1e-11.
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


@dataclass(frozen=True)
class Case:
    """A function and a sampler for each of its arguments.

    `eager=False` is for what is compiled inside, or is a loop: step by step it costs
    seconds and is the same code. `step` is that of the central difference.
    """

    function: Callable
    samplers: tuple[Callable, ...]
    differentiable: bool = True
    eager: bool = True
    step: float = STEP

    def draw(self, seed):
        rng = np.random.default_rng(seed)
        return tuple(sampler(rng) for sampler in self.samplers)


def vector(size):
    return lambda rng: jnp.asarray(rng.normal(size=size))


def fourfold_image(rng):
    """Channels cos 4 theta and sin 4 theta of a small film."""
    turn = rng.uniform(0, 2 * np.pi, (4, 4))
    return jnp.asarray(np.stack([np.cos(turn), np.sin(turn)], axis=-1))


def number(low, high):
    return lambda rng: jnp.asarray(rng.uniform(low, high))


def key(rng):
    return jax.random.key(int(rng.integers(2**31)))


def unit_quaternion(rng):
    q = rng.normal(size=4)
    return jnp.asarray(q / np.linalg.norm(q))


def small_turn(rng):
    return jnp.asarray(rng.normal(size=3) / 3)


def rotation_matrix(rng):
    return rotations.to_matrix(unit_quaternion(rng))


def stable(rng):
    """A triclinic stiffness, GPa: copper's with everything a little off."""
    noise = rng.normal(size=(6, 6))
    return crystals.cubic(168.9, 121.8, 75.8) + jnp.asarray(noise + noise.T)


def cubic(rng):
    """Constants of a cubic crystal near copper, GPa."""
    return crystals.cubic(*(np.array([168.9, 121.8, 75.8]) + rng.normal(size=3)))


def plane(rng):
    """A stiffness in plane stress near silicon's, with everything a little off, GPa."""
    noise = rng.normal(size=(3, 3))
    silicon = np.array([[155.0, 30.0, 0.0], [30.0, 155.0, 0.0], [0.0, 0.0, 130.0]])
    return jnp.asarray(silicon + noise + noise.T)


def square_symmetry(rng):
    return jnp.asarray(rng.integers(surrogates.NUM_SYMMETRIES))


def quaternions(count):
    return lambda rng: jnp.stack([unit_quaternion(rng) for _ in range(count)])


GRID = Grid((5, 4), (1.0, 0.8))
GRAIN = jnp.asarray(np.random.default_rng(5).integers(0, 3, GRID.shape), jnp.int32)
NICKEL = (Phase("Nickel", "m-3m"),)


def grains(orientation):
    return Microstructure(GRID, GRAIN, jnp.zeros_like(GRAIN), orientation)


def bent_map(rng):
    """Orientations that vary by a few degrees over a map, less than the threshold."""
    turns = jnp.asarray(rng.normal(size=(20, 3)) / 200)
    base = unit_quaternion(rng)
    q = jax.vmap(lambda v: rotations.multiply(rotations.from_rotation_vector(v), base))
    return q(turns).reshape(*GRID.shape, 4)


def on_map(function):
    """Of the quaternions of a map."""

    def of_quaternions(quaternion):
        zero = jnp.zeros_like(GRAIN)
        trust = jnp.ones(GRID.shape, quaternion.dtype)
        return function(OrientationMap(GRID, quaternion, zero, NICKEL, trust))

    return of_quaternions


def on_grains(function):
    """Of orientations and stiffness."""

    def of_parameters(orientation, stiffness):
        law = materials.LinearElastic(stiffness)
        return function(grains(orientation), law)

    return of_parameters


def effective(grains, law):
    cell = cells.grid_cell(grains, law, plane="stress")
    return cells.homogenise(cell, rtol=1e-11, throw=False).value


def stressed(grains, law):
    cell = cells.grid_cell(grains, law, plane="stress")
    eps_bar = jnp.array([1.0, -0.3, 0.5], law.stiffness.dtype)
    return cells.local_fields(cell, eps_bar, rtol=1e-11, throw=False).value


def answer(grains, law):
    """Stress of the cell as a material; the tolerance is the cell's own."""
    cell = cells.grid_cell(grains, law, plane="stress", discretisation="fourier")
    eps = jnp.array([1.0, -0.3, 0.5], law.stiffness.dtype)
    return cell.update(eps, None, jnp.ones(()))[0]


def graded(field):
    """A cell whose stiffness varies with a field over the grid."""
    soft = crystals.cubic(168.9, 121.8, 75.8).astype(field.dtype)
    law = jax.vmap(jax.vmap(lambda x: materials.LinearElastic((2 + x) * soft)))(field)
    cell = cells.field_cell(GRID, law, plane="stress")
    return cells.homogenise(cell, rtol=1e-11, throw=False).value


def driven(stiffness, target):
    free = np.array([[False, True, True, False, True, True]] * 2)
    eps = jnp.stack([target / 2, target])
    path = materials.LoadPath(eps, 0 * eps, free, jnp.ones(2, eps.dtype))
    return materials.drive(materials.LinearElastic(stiffness), path, throw=False).value


def point(function):
    """Of a stiffness and a strain."""

    def of_parameters(stiffness, eps):
        return function(materials.LinearElastic(stiffness), eps, None, 1.0)

    return of_parameters


@full_precision
def solve_spd(matrix, rhs):
    spd = matrix @ matrix.T + 9 * jnp.eye(6, dtype=matrix.dtype)
    diagonal = jnp.diagonal(spd)
    return solve.conjugate_gradient(
        lambda x: spd @ x, rhs, lambda x: x / diagonal, rtol=1e-12, max_steps=100
    ).value


@full_precision
def solve_lopsided(matrix, rhs):
    lopsided = matrix - matrix.T + 6 * jnp.eye(6, dtype=matrix.dtype)
    return solve.bicgstab(
        lambda x: lopsided @ x, rhs, lambda x: x / 6, rtol=1e-12, max_steps=100
    ).value


def arcsinh(rhs):
    """Root of sinh(x) = rhs, by Newton's method with a diagonal Jacobian."""

    def linear(slope, rhs, rtol):
        info = solve.Info(jnp.asarray(True), jnp.asarray(1), jnp.zeros_like(rtol))
        return solve.Solution(rhs / slope, info)

    solution = solve.inexact_newton(
        lambda x: (jnp.sinh(x) - rhs, jnp.cosh(x)),
        linear,
        lambda r: r,
        jnp.zeros_like(rhs),
        tolerance=lambda slope: jnp.asarray(1e-6, slope.dtype) ** 2,
        max_steps=50,
    )
    return solution.value[0]


KEY = jax.random.key(0)


def few_atoms(rng):
    """Sixteen atoms of two species in a skew box of the plane, and their potential."""
    s = np.indices((4, 4)).reshape(2, -1).T / 4 + 0.02 * rng.normal(size=(16, 2))
    box = 4 * np.eye(2) + 0.2 * rng.normal(size=(2, 2))
    epsilon = rng.uniform(0.5, 1.0, (2, 2))
    sigma = [[1.0, 0.9], [0.9, 0.8]]
    law = atoms.LennardJones(epsilon + epsilon.T, sigma, 1.5)
    box, species = jnp.asarray(box), jnp.arange(16) % 2
    return law, atoms.Atoms(jnp.asarray(s), box, species)


def few_at_rest(rng):
    law, a = few_atoms(rng)
    return law, atoms.relax(law, a).value


def moving(a):
    """With velocities and unequal masses."""
    masses = 1 + jnp.arange(a.num_atoms) % 2
    velocities = 2 * a.positions
    return atoms.Motion(a, velocities, masses.astype(velocities.dtype), KEY)


def jittered(a):
    """The atoms in three configurations near by."""
    noise = 0.02 * jax.random.normal(KEY, (3, *a.positions.shape), a.positions.dtype)
    return jax.vmap(lambda u: atoms.shifted(a, u))(noise)


def still(like):
    """Five atoms of the type of a number."""
    s = jnp.linspace(0, 0.8, 10).reshape(5, 2).astype(like.dtype)
    return atoms.Atoms(s, jnp.eye(2, dtype=like.dtype), jnp.zeros(5, int))


def of_atoms(function):
    """Of a potential and a configuration that come together."""
    return Case(lambda both: function(*both), (few_atoms,))


def valley(x):
    return jnp.sum((x - 1) ** 2 + (x - 1) ** 4)


ANGLES = number(0.2, 1.2)
CONSTANT = number(20.0, 200.0)
LAUE = "m-3m"
# Misorientations are as small as 1e-3, and magnitudes have kinks where they vanish.
BENT = {"step": 1e-7, "eager": False}

CASES = {
    "atoms.at_rest": Case(
        lambda both: atoms.at_rest(*both),
        (few_atoms,),
        differentiable=False,  # its derivative is that of a minimum: tests/atoms
    ),
    "atoms.atomic_stress": of_atoms(atoms.atomic_stress),
    "atoms.born_moduli": of_atoms(atoms.born_moduli),
    "atoms.box_slope": of_atoms(atoms.box_slope),
    "atoms.cartesian": of_atoms(lambda _, a: atoms.cartesian(a)),
    "atoms.deform": of_atoms(lambda _, a: atoms.deform(a, a.box).box),
    "atoms.elastic_moduli": Case(
        lambda both: atoms.elastic_moduli(*both),
        (few_at_rest,),
        differentiable=False,  # its derivative is that of a minimum: tests/atoms
    ),
    "atoms.d2min": of_atoms(
        lambda _, a: atoms.d2min(a, atoms.Atoms(a.positions**2, a.box, a.species), 1.6)
    ),
    "atoms.energy": of_atoms(atoms.energy),
    "atoms.forces": of_atoms(atoms.forces),
    "atoms.from_cartesian": of_atoms(
        lambda _, a: atoms.from_cartesian(a.positions, a.box, a.species).positions
    ),
    "atoms.hessian": of_atoms(atoms.hessian),
    "atoms.kinetic_energy": of_atoms(lambda _, a: atoms.kinetic_energy(moving(a))),
    "atoms.kinetic_stress": of_atoms(lambda _, a: atoms.kinetic_stress(moving(a))),
    "atoms.minimum_image": Case(atoms.minimum_image, (vector((4, 3)),)),
    "atoms.participation_ratio": Case(atoms.participation_ratio, (vector((5, 3)),)),
    "atoms.perpendicular_widths": of_atoms(
        lambda _, a: atoms.perpendicular_widths(a.box)
    ),
    "atoms.radial_distribution": Case(
        lambda both: atoms.radial_distribution(
            both[1], jnp.linspace(0.5, 1.5, 5, dtype=both[1].box.dtype)
        ),
        (few_atoms,),
        differentiable=False,  # it counts
    ),
    "atoms.set_in_motion": Case(
        lambda key, kT: atoms.set_in_motion(key, still(kT), kT).velocities,
        (key, number(0.5, 1.0)),
    ),
    "atoms.shifted": of_atoms(lambda _, a: atoms.shifted(a, a.positions).positions),
    "atoms.simulate": Case(
        lambda both: (
            atoms.simulate(both[0], atoms.ConstantEnergy(0.002), moving(both[1]), 3)[
                0
            ].velocities
        ),
        (few_atoms,),
        eager=False,
    ),
    "atoms.stress": of_atoms(atoms.stress),
    "atoms.stress_field": of_atoms(
        lambda law, a: atoms.stress_field(law, a, (4, 3), 0.5)
    ),
    "atoms.structure_factor": of_atoms(
        lambda _, a: atoms.structure_factor(a, jnp.array([[1, 0], [2, 1]]))
    ),
    "atoms.temperature": of_atoms(lambda _, a: atoms.temperature(moving(a))),
    "atoms.thermal_moduli": Case(
        lambda both: atoms.thermal_moduli(both[0], jittered(both[1]), 0.5),
        (few_atoms,),
        step=1e-6,  # squares of stresses: at 1e-5 the difference errs by 5e-6
    ),
    "atoms.volume": of_atoms(lambda _, a: atoms.volume(a)),
    "atoms.wave_numbers": of_atoms(
        lambda _, a: atoms.wave_numbers(a, jnp.array([[1, 0], [2, 1]]))
    ),
    "mandel.from_tensor2": Case(mandel.from_tensor2, (vector((3, 3)),)),
    "mandel.to_tensor2": Case(mandel.to_tensor2, (vector(6),)),
    "mandel.from_tensor4": Case(mandel.from_tensor4, (vector((3, 3, 3, 3)),)),
    "mandel.to_tensor4": Case(mandel.to_tensor4, (vector((6, 6)),)),
    "mandel.from_voigt_stiffness": Case(mandel.from_voigt_stiffness, (stable,)),
    "mandel.to_voigt_stiffness": Case(mandel.to_voigt_stiffness, (stable,)),
    "mandel.from_voigt_compliance": Case(mandel.from_voigt_compliance, (stable,)),
    "mandel.to_voigt_compliance": Case(mandel.to_voigt_compliance, (stable,)),
    "mandel.from_voigt_strain": Case(mandel.from_voigt_strain, (vector(6),)),
    "mandel.to_voigt_strain": Case(mandel.to_voigt_strain, (vector(3),)),
    "mandel.from_voigt_stress": Case(mandel.from_voigt_stress, (vector(6),)),
    "mandel.to_voigt_stress": Case(mandel.to_voigt_stress, (vector(3),)),
    "mandel.rotation": Case(mandel.rotation, (vector((3, 3)),)),
    "mandel.trace": Case(mandel.trace, (vector(6),)),
    "mandel.deviator": Case(mandel.deviator, (vector(6),)),
    "mandel.von_mises": Case(mandel.von_mises, (vector(6),)),
    "rotations.angle": Case(rotations.angle, (unit_quaternion,)),
    "rotations.conjugate": Case(rotations.conjugate, (unit_quaternion,)),
    "rotations.from_axis_angle": Case(rotations.from_axis_angle, (vector(3), ANGLES)),
    "rotations.from_euler_bunge": Case(rotations.from_euler_bunge, (vector(3),)),
    "rotations.from_homochoric": Case(rotations.from_homochoric, (small_turn,)),
    "rotations.from_matrix": Case(rotations.from_matrix, (rotation_matrix,)),
    "rotations.from_rodrigues": Case(rotations.from_rodrigues, (vector(3),)),
    "rotations.from_rotation_vector": Case(
        rotations.from_rotation_vector, (small_turn,)
    ),
    "rotations.identity": Case(rotations.identity, ()),
    "rotations.multiply": Case(rotations.multiply, (unit_quaternion, unit_quaternion)),
    "rotations.normalise": Case(rotations.normalise, (vector(4),)),
    "rotations.random_fibre": Case(
        rotations.random_fibre,
        (key, vector(3), vector(3), number(0.1, 0.2)),
        eager=False,
    ),
    "rotations.random_near": Case(
        rotations.random_near, (key, unit_quaternion, number(0.1, 0.2))
    ),
    "rotations.random_uniform": Case(rotations.random_uniform, (key,)),
    "rotations.rotate": Case(rotations.rotate, (unit_quaternion, vector(3))),
    "rotations.to_axis_angle": Case(rotations.to_axis_angle, (unit_quaternion,)),
    "rotations.to_euler_bunge": Case(rotations.to_euler_bunge, (unit_quaternion,)),
    "rotations.to_homochoric": Case(rotations.to_homochoric, (unit_quaternion,)),
    "rotations.to_matrix": Case(rotations.to_matrix, (unit_quaternion,)),
    "rotations.to_rodrigues": Case(rotations.to_rodrigues, (unit_quaternion,)),
    "rotations.to_rotation_vector": Case(
        rotations.to_rotation_vector, (unit_quaternion,)
    ),
    "symmetry.direction_colour": Case(
        partial(symmetry.direction_colour, laue=LAUE), (vector(3),)
    ),
    "symmetry.disorientation": Case(
        partial(symmetry.disorientation, laue="6/mmm"),
        (unit_quaternion, unit_quaternion),
    ),
    "symmetry.disorientation_angle": Case(
        partial(symmetry.disorientation_angle, laue=LAUE),
        (unit_quaternion, unit_quaternion),
    ),
    "symmetry.ipf_colour": Case(
        partial(symmetry.ipf_colour, laue=LAUE), (unit_quaternion, vector(3))
    ),
    "symmetry.mean_orientation": Case(
        partial(symmetry.mean_orientation, laue="mmm"), (quaternions(4),), eager=False
    ),
    "symmetry.to_fundamental_zone": Case(
        partial(symmetry.to_fundamental_zone, laue="-3m"), (unit_quaternion,)
    ),
    "symmetry.to_sector": Case(partial(symmetry.to_sector, laue=LAUE), (vector(3),)),
    "crystals.bulk_modulus": Case(crystals.bulk_modulus, (stable,)),
    "crystals.cubic": Case(crystals.cubic, (CONSTANT,) * 3),
    "crystals.hashin_shtrikman": Case(
        crystals.hashin_shtrikman, (stable,), eager=False
    ),
    "crystals.hexagonal": Case(crystals.hexagonal, (CONSTANT,) * 5),
    "crystals.hill": Case(crystals.hill, (stable,)),
    "crystals.isotropic": Case(crystals.isotropic, (CONSTANT,) * 2),
    "crystals.linear_compressibility": Case(
        crystals.linear_compressibility, (stable, vector(3))
    ),
    "crystals.monoclinic": Case(crystals.monoclinic, (CONSTANT,) * 13),
    "crystals.orthorhombic": Case(crystals.orthorhombic, (CONSTANT,) * 9),
    "crystals.poissons_ratio": Case(
        lambda c, q: crystals.poissons_ratio(c, *rotations.to_matrix(q)[:2]),
        (stable, unit_quaternion),
    ),
    "crystals.reuss": Case(crystals.reuss, (stable,)),
    "crystals.rotate_stiffness": Case(
        crystals.rotate_stiffness, (stable, unit_quaternion)
    ),
    "crystals.self_consistent": Case(crystals.self_consistent, (stable,), eager=False),
    "crystals.shear_modulus": Case(
        lambda c, q: crystals.shear_modulus(c, *rotations.to_matrix(q)[:2]),
        (stable, unit_quaternion),
    ),
    "crystals.tetragonal": Case(crystals.tetragonal, (CONSTANT,) * 7),
    "crystals.triclinic": Case(crystals.triclinic, (CONSTANT,) * 21),
    "crystals.trigonal": Case(crystals.trigonal, (CONSTANT,) * 7),
    "crystals.universal_anisotropy": Case(crystals.universal_anisotropy, (stable,)),
    "crystals.voigt": Case(crystals.voigt, (stable,)),
    "crystals.wave_speeds": Case(
        crystals.wave_speeds, (stable, number(2.0, 9.0), vector(3))
    ),
    "crystals.youngs_modulus": Case(crystals.youngs_modulus, (stable, vector(3))),
    "crystals.zener_ratio": Case(crystals.zener_ratio, (cubic,)),
    "microstructure.fibre_texture": Case(
        lambda key: microstructure.fibre_texture(key, 2), (key,), eager=False
    ),
    "microstructure.gnd_density": Case(
        lambda q, b: on_map(partial(microstructure.gnd_density, burgers=b))(q),
        (bent_map, number(0.1, 0.2)),
        **BENT,
    ),
    "microstructure.kernel_average_misorientation": Case(
        on_map(microstructure.kernel_average_misorientation), (bent_map,), **BENT
    ),
    "microstructure.lattice_curvature": Case(
        on_map(microstructure.lattice_curvature), (bent_map,), **BENT
    ),
    "microstructure.lognormal_volumes": Case(
        lambda key: microstructure.lognormal_volumes(key, 4, 0.3), (key,)
    ),
    "microstructure.nye_tensor": Case(
        on_map(microstructure.nye_tensor), (bent_map,), **BENT
    ),
    "microstructure.two_point_correlation": Case(
        microstructure.two_point_correlation, (vector(GRID.shape),)
    ),
    "microstructure.uniform_texture": Case(
        lambda key: microstructure.uniform_texture(key, 2), (key,)
    ),
    "cells.field_cell": Case(graded, (vector(GRID.shape),), eager=False),
    "cells.grid_cell": Case(on_grains(answer), (quaternions(3), cubic), eager=False),
    "cells.homogenise": Case(
        on_grains(effective), (quaternions(3), cubic), eager=False
    ),
    "cells.local_fields": Case(
        on_grains(stressed), (quaternions(3), cubic), eager=False
    ),
    "cells.reuss_bound": Case(
        on_grains(cells.reuss_bound), (quaternions(3), cubic), eager=False
    ),
    "cells.voigt_bound": Case(
        on_grains(cells.voigt_bound), (quaternions(3), cubic), eager=False
    ),
    "materials.drive": Case(driven, (stable, vector(6)), eager=False),
    "materials.follow": Case(
        lambda c, eps: materials.follow(
            materials.LinearElastic(c), jnp.stack([eps / 2, eps])
        ),
        (stable, vector(6)),
    ),
    "materials.stiffness_of": Case(
        lambda c: materials.stiffness_of(materials.LinearElastic(c)), (stable,)
    ),
    "materials.tangent": Case(point(materials.tangent), (stable, vector(6))),
    "solve.apart": Case(lambda x: solve.apart(jnp.sin, x), (vector(3),)),
    "solve.bracketed_root": Case(
        lambda a: solve.bracketed_root(
            lambda x: a - jnp.exp(x), jnp.zeros_like(a), jnp.ones_like(a)
        ),
        (number(1.1, 2.6),),
        eager=False,
    ),
    "solve.bicgstab": Case(
        solve_lopsided, (vector((6, 6)), vector(6)), differentiable=False
    ),
    "solve.inexact_newton": Case(arcsinh, (vector(5),), differentiable=False),
    "solve.conjugate_gradient": Case(
        # Solvers are differentiated by the implicit function theorem where they are
        # used, not through their iterations.
        solve_spd,
        (vector((6, 6)), vector(6)),
        differentiable=False,
    ),
    "solve.by_platform": Case(
        lambda x: solve.by_platform(x, cpu=jnp.sin, default=jnp.sin), (vector(3),)
    ),
    "solve.in_turn": Case(
        lambda x: solve.in_turn(jnp.sin)(x), (vector(3),), differentiable=False
    ),
    "solve.fire": Case(
        lambda x: (
            solve.fire(
                jax.grad(valley),
                x,
                tolerance=1e-6,
                max_steps=2000,
                max_move=0.1,
                first_step=0.05,
            ).value
        ),
        (vector(3),),
        differentiable=False,
        eager=False,
    ),
    "solve.lbfgs": Case(
        lambda x: solve.lbfgs(valley, x, tolerance=1e-10, max_steps=100).value,
        (vector(3),),
        differentiable=False,
        eager=False,
    ),
    "solve.newton": Case(
        lambda x: solve.newton(jax.grad(valley), x, tolerance=1e-10).value,
        (vector(3),),
        differentiable=False,
        eager=False,
    ),
    "solve.dot": Case(solve.dot, (vector(4), vector(4))),
    "solve.poison": Case(lambda x: solve.poison(x, x[0] > -9), (vector(3),)),
    "surrogates.apparent_modulus": Case(
        surrogates.apparent_modulus, (plane, vector(2))
    ),
    "surrogates.augment": Case(
        partial(surrogates.augment, encoding="fourfold", periodic=True),
        (key, fourfold_image, plane),
    ),
    "surrogates.calibration": Case(
        lambda mean, std, labels: surrogates.calibration(
            surrogates.Gaussian(mean, jnp.abs(std)), labels
        ),
        (vector(5),) * 3,
        differentiable=False,  # it counts
    ),
    "surrogates.gaussian_nll": Case(
        lambda mean, std, label: surrogates.gaussian_nll(
            surrogates.Gaussian(mean, std), label
        ),
        (number(140.0, 160.0), number(2.0, 4.0), number(140.0, 160.0)),
    ),
    "surrogates.move_pixels_only": Case(
        surrogates.move_pixels_only, (vector((4, 4, 1)), square_symmetry)
    ),
    "surrogates.relative_exp": Case(surrogates.relative_exp, (vector(6), plane)),
    "surrogates.relative_log": Case(surrogates.relative_log, (plane, plane)),
    "surrogates.symmetry_matrix": Case(surrogates.symmetry_matrix, (square_symmetry,)),
    "surrogates.transform_image": Case(
        partial(surrogates.transform_image, encoding="fourfold"),
        (fourfold_image, square_symmetry),
    ),
    "surrogates.transform_stiffness": Case(
        surrogates.transform_stiffness, (plane, square_symmetry)
    ),
}

EXEMPT_MODULES = {
    "cli": "a program",
    "io": "files",
    "plot": "figures",
    "studies": "programs that write folders",
    "training": "a loop over the functions of others, and files",
}
HOST = "counts or tables made once with NumPy, outside a trace"
MAKER = "makes a grid of grains with NumPy; its output is transformed"
MATERIAL = "obeys tests/contract.py"
CURVE = "a part of a material, transformed with it"
NETWORK = "a module, transformed in tests/surrogates"
PART = "says how atoms move in atoms.simulate, and is transformed with it"
RECORD = "holds arrays, computes nothing"
LAW = "a potential, transformed with atoms.energy and in tests/atoms"
LOOP = "iterates with solve.lbfgs, which is transformed here"
EXEMPT = {
    "atoms.AbstractEnsemble": PART,
    "atoms.AbstractPair": LAW,
    "atoms.AbstractPotential": LAW,
    "atoms.Atoms": RECORD,
    "atoms.BKS": LAW,
    "atoms.ConstantEnergy": PART,
    "atoms.EAM": LAW,
    "atoms.Langevin": PART,
    "atoms.LennardJones": LAW,
    "atoms.Morse": LAW,
    "atoms.Motion": RECORD,
    "atoms.Neighbours": RECORD,
    "atoms.NoseHoover": PART,
    "atoms.Quench": RECORD,
    "atoms.Settled": RECORD,
    "atoms.SoftSpheres": LAW,
    "atoms.StillingerWeber": LAW,
    "atoms.Vashishta": LAW,
    "atoms.bks_silica": LAW,
    "atoms.check": "raises on concrete values",
    "atoms.find_neighbours": "makes a list on concrete values",
    "atoms.is_current": "says yes or no",
    "atoms.kob_andersen": LAW,
    "atoms.make_glass": LOOP,
    "atoms.quench": LOOP,
    "atoms.random_atoms": LOOP,
    "atoms.read_setfl": "a file",
    "atoms.relax": LOOP,
    "atoms.relax_box": LOOP,
    "atoms.relax_large": "lists and factors on concrete values",
    "atoms.settle_large": "lists and factors on concrete values",
    "atoms.settle": LOOP,
    "atoms.swap_species": LOOP,
    "atoms.vashishta_silica": LAW,
    "atoms.wahnstrom": LAW,
    "atoms.wca": LAW,
    "cells.AtomisticCell": MATERIAL,
    "cells.AtomisticState": RECORD,
    "cells.atomistic_cell": "makes an AtomisticCell, which " + MATERIAL,
    "cells.AbstractCell": MATERIAL,
    "cells.DMNState": RECORD,
    "cells.DeepMaterialNetwork": MATERIAL,
    "cells.CellState": RECORD,
    "cells.Fields": RECORD,
    "cells.GridCell": MATERIAL,
    "cells.Grains": RECORD,
    "cells.Laminate": MATERIAL,
    "cells.LawField": RECORD,
    "cells.PRNN": MATERIAL,
    "cells.ThermalCell": "averages over noise; transformed in tests/cells",
    "cells.ThermalState": RECORD,
    "cells.deep_material_network": "makes a tree, which " + MATERIAL,
    "cells.prnn": "makes a PRNN, which " + MATERIAL,
    "cells.thermal_cell": "makes a ThermalCell",
    "crystals.Bounds": RECORD,
    "crystals.Constants": RECORD,
    "crystals.Isotropic": RECORD,
    "crystals.Waves": RECORD,
    "crystals.check_plane_strain": "raises on concrete values",
    "crystals.check_stiffness": "raises on concrete values",
    "materials.check_small_strain": "raises on types",
    "crystals.constants": HOST,
    "crystals.names": HOST,
    "materials.AbstractFiniteMaterial": MATERIAL,
    "materials.AbstractMaterial": MATERIAL,
    "materials.Damage": MATERIAL,
    "materials.FiniteStrain": MATERIAL,
    "materials.History": RECORD,
    "materials.J2Plasticity": MATERIAL,
    "materials.J2State": RECORD,
    "materials.LinearHardening": CURVE,
    "materials.SwiftHardening": CURVE,
    "materials.TabulatedHardening": CURVE,
    "materials.VoceHardening": CURVE,
    "materials.PronySeries": MATERIAL,
    "materials.ViscoelasticState": RECORD,
    "materials.LinearElastic": MATERIAL,
    "materials.LoadPath": RECORD,
    "materials.Oriented": MATERIAL,
    "materials.PlaneStrain": MATERIAL,
    "materials.PlaneStress": MATERIAL,
    "materials.SaintVenantKirchhoff": MATERIAL,
    "materials.SmallStrain": MATERIAL,
    "microstructure.Boundaries": RECORD,
    "microstructure.GrainShapes": RECORD,
    "microstructure.Grid": "static",
    "microstructure.Microstructure": RECORD,
    "microstructure.OrientationMap": RECORD,
    "microstructure.Phase": "static",
    "microstructure.Summary": RECORD,
    "microstructure.Tessellation": RECORD,
    "microstructure.boundaries": HOST,
    "microstructure.check_indices": "raises on concrete values",
    "microstructure.check_microstructure": "raises on concrete values",
    "microstructure.check_orientation_map": "raises on concrete values",
    "microstructure.clean": HOST,
    "microstructure.columnar": MAKER,
    "microstructure.equivalent_diameters": HOST,
    "microstructure.fit_weights": HOST,
    "microstructure.grain_shapes": HOST,
    "microstructure.grain_volumes": HOST,
    "microstructure.laguerre": MAKER,
    "microstructure.lineal_path": HOST,
    "microstructure.majority_filter": HOST,
    "microstructure.map_texture": "looks for the points of a phase with NumPy",
    "microstructure.median_filter": HOST,
    "microstructure.misorientation_distribution": HOST,
    "microstructure.num_grains_for": HOST,
    "microstructure.radial_average": HOST,
    "microstructure.random_seeds": HOST,
    "microstructure.rasterise": HOST,
    "microstructure.resample": MAKER,
    "microstructure.same_grain_correlation": HOST,
    "microstructure.segment": HOST,
    "microstructure.summarise": HOST,
    "microstructure.voronoi": MAKER,
    "solve.Info": RECORD,
    "solve.NewtonInfo": RECORD,
    "solve.Solution": RECORD,
    "surrogates.AbstractNetwork": NETWORK,
    "surrogates.Calibration": RECORD,
    "surrogates.CorrectionHead": NETWORK,
    "surrogates.Cost": RECORD,
    "surrogates.DenseNet": NETWORK,
    "surrogates.Ensemble": NETWORK,
    "surrogates.Frozen": NETWORK,
    "surrogates.Gaussian": RECORD,
    "surrogates.GaussianHead": NETWORK,
    "surrogates.ModulusHead": NETWORK,
    "surrogates.PhysicsInTheLoop": NETWORK,
    "surrogates.PlainCNN": NETWORK,
    "surrogates.Recurrent": NETWORK,
    "surrogates.RecurrentState": RECORD,
    "surrogates.ResNet": NETWORK,
    "surrogates.SPDHead": NETWORK,
    "surrogates.Surrogate": NETWORK,
    "surrogates.Symmetrised": NETWORK,
    "surrogates.cost": "counts what a program does",
    "surrogates.recurrent": "makes a network, which " + NETWORK,
    "surrogates.hold": "rebuilds modules, computes nothing",
    "symmetry.ipf_corners": HOST,
    "symmetry.laue_group": HOST,
    "symmetry.operators": HOST,
}

for_every_function = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
WITH_ARGUMENTS = {name: case for name, case in CASES.items() if case.samplers}


def floats_of(tree):
    """Its real numbers as one vector; a NaN is a point without neighbours."""
    leaves = [x for x in jax.tree.leaves(tree) if eqx.is_inexact_array(x)]
    return jnp.concatenate([jnp.ravel(jnp.nan_to_num(x)) for x in leaves])


def transformed(case):
    """The function in a loop and in a batch, and its slopes; all in one compilation.

    Also the products of matrices in it that a GPU would round.
    """
    numbers, rest = eqx.partition(case.draw(0), eqx.is_inexact_array)
    flat, unravel = jax.flatten_util.ravel_pytree(numbers)
    rng = np.random.default_rng(9)
    direction = jnp.asarray(rng.normal(size=flat.shape))

    def of_row(arguments):
        return floats_of(case.function(*arguments))

    def of_numbers(flat):
        return of_row(eqx.combine(unravel(flat), rest))

    near = [flat + step * direction for step in (case.step, -case.step)]
    rows = [*map(case.draw, range(BATCH))]
    rows += [eqx.combine(unravel(x), rest) for x in near]
    weights = jnp.asarray(rng.normal(size=jax.eval_shape(of_numbers, flat).shape))

    @jax.jit
    def everything(rows, flat):
        found = {
            "loop": jax.lax.map(of_row, rows),
            "batch": jax.vmap(of_row)(jax.tree.map(lambda x: x[:BATCH], rows)),
        }
        if case.differentiable and flat.size:
            _, pull = jax.vjp(of_numbers, flat)
            found["forward"] = jax.jvp(of_numbers, (flat,), (direction,))[1]
            found["reverse"] = pull(weights)[0]
        return found

    rows = jax.tree.map(lambda *x: jnp.stack(x), *rows)
    lowered = everything.lower(rows, flat)
    found = lowered.compile()(rows, flat)
    return found, direction, weights, contract.rounded_products(lowered)


@pytest.mark.parametrize("case", WITH_ARGUMENTS.values(), ids=WITH_ARGUMENTS)
def test_transformed_it_is_the_same(case):
    found, direction, weights, rounded = transformed(case)
    assert rounded == []
    loop = found["loop"]
    scale = float(jnp.max(jnp.abs(loop[0])))
    # Sums in another order differ by rounding; solves by 1e-11 of their size.
    np.testing.assert_allclose(found["batch"], loop[:BATCH], rtol=0, atol=1e-9 * scale)
    if case.eager:
        eager = floats_of(case.function(*case.draw(0)))
        np.testing.assert_allclose(loop[0], eager, rtol=0, atol=1e-9 * scale)
    if "forward" not in found:
        return
    forward, reverse = found["forward"], found["reverse"]
    assert jnp.isfinite(forward).all()
    assert jnp.isfinite(reverse).all()
    difference = (loop[-2] - loop[-1]) / (2 * case.step)
    scale = max(1.0, float(jnp.max(jnp.abs(difference))))
    np.testing.assert_allclose(forward / scale, difference / scale, **CLOSE)
    size = float(jnp.linalg.norm(weights) * jnp.linalg.norm(difference)) or 1.0
    np.testing.assert_allclose(
        reverse @ direction / size, weights @ forward / size, rtol=0, atol=1e-8
    )


@for_every_function
def test_single_precision_stays_single(case):
    def single(x):
        return x.astype(jnp.float32) if eqx.is_inexact_array(x) else x

    arguments = jax.tree.map(single, case.draw(0))
    if not any(eqx.is_inexact_array(x) for x in jax.tree.leaves(arguments)):
        return  # the caller's default type decides
    for x in jax.tree.leaves(jax.eval_shape(case.function, *arguments)):
        assert x.dtype != jnp.float64


def public_names():
    """Every callable of every public module, as `module.name`."""
    names = set()
    for found in pkgutil.iter_modules(jaxmat.__path__):
        if found.name.startswith("_") or found.name in EXEMPT_MODULES:
            continue
        module = importlib.import_module(f"jaxmat.{found.name}")
        for name, member in vars(module).items():
            home = getattr(member, "__module__", None) or ""
            mine = home == module.__name__ or home.startswith(f"{module.__name__}._")
            if mine and callable(member) and not name.startswith("_"):
                names.add(f"{found.name}.{name}")
    return names


def test_no_public_function_is_forgotten():
    listed = set(CASES) | set(EXEMPT)
    forgotten = sorted(public_names() - listed)
    assert forgotten == [], "add it to CASES, or to EXEMPT with a reason"


def test_every_name_listed_still_exists():
    assert sorted((set(CASES) | set(EXEMPT)) - public_names()) == []
    assert not set(CASES) & set(EXEMPT)
