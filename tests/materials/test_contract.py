"""Every material of the library, and one of a user, obeys the contract."""

import dataclasses

import contract
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import cells, crystals, rotations
from jaxmat.materials import (
    Damage,
    J2Plasticity,
    LinearElastic,
    Oriented,
    PlaneStrain,
    PlaneStress,
    PronySeries,
    SaintVenantKirchhoff,
    SmallStrain,
    VoceHardening,
)
from jaxmat.microstructure import Grid, Microstructure

DIRECTION = np.array([1.0, -0.3, 0.2, 0.5, -0.7, 0.4])


def tilted(law):
    """No axis of the crystal lies along one of the sample."""
    return Oriented(law, rotations.from_euler_bunge(jnp.array([0.4, 1.1, 2.0])))


def turned(law):
    """A cube axis along x3, so that x3 is normal to a mirror plane."""
    return Oriented(law, rotations.from_euler_bunge(jnp.array([0.4, 0.0, 0.0])))


def laminate(law):
    titanium = LinearElastic(crystals.hexagonal(162.4, 92.0, 69.0, 180.7, 46.7))
    fractions, normal = jnp.array([0.3, 0.7]), jnp.array([0.2, -0.4, 1.5])
    return cells.Laminate((tilted(law), titanium), fractions, normal)


def polycrystal(law, **options):
    rng = np.random.default_rng(3)
    grains = Microstructure(
        Grid((6, 5), (1.2, 1.0)),
        jnp.asarray(rng.integers(0, 3, (6, 5)), jnp.int32),
        jnp.zeros((6, 5), jnp.int32),
        jnp.asarray(rng.normal(size=(3, 4))),
    )
    cell = cells.grid_cell(grains, law, **options)
    return dataclasses.replace(cell, rtol=1e-11)


def numbers(*values):
    return map(jnp.asarray, values)


STEEL = J2Plasticity(*numbers(160.0, 80.0), VoceHardening(*numbers(0.2, 0.4, 30.0)))
EPOXY = PronySeries(
    *numbers(4.0, 1.0), *map(jnp.array, ([0.5, 0.0], [0.4, 0.3], [0.6, 20.0]))
)
CERAMIC = Damage(crystals.cubic(165.64, 63.94, 79.51), *numbers(0.1, 0.5))
NONLINEAR = {
    "J2": STEEL,
    "J2 in plane stress": PlaneStress(STEEL),
    "viscoelastic": EPOXY,
    "viscoelastic in plane stress": PlaneStress(EPOXY),
    "damage": CERAMIC,
}


def composite(matrix, inclusion):
    """Four voxels, one of them stiff; the smallest cell in which fields vary."""
    phase = jnp.array([[0, 0], [0, 1]], jnp.int32)
    quaternion = rotations.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), 0.4)
    film = Microstructure(Grid((2, 2), (1.2, 1.0)), 0 * phase, phase, quaternion[None])
    cell = cells.grid_cell(film, (matrix, inclusion), plane="strain")
    return dataclasses.replace(cell, rtol=1e-11)


NONLINEAR["composite"] = composite(
    STEEL, LinearElastic(crystals.cubic(165.64, 63.94, 79.51))
)

# How to make each from a crystal or from a law that yields.
ELASTIC = {
    "crystal": lambda law: law,
    "tilted crystal": tilted,
    "plane stress": lambda law: PlaneStress(tilted(law)),
    "plane strain": lambda law: PlaneStrain(turned(law)),
    "stretched crystal": lambda law: SmallStrain(SaintVenantKirchhoff(law.stiffness)),
    "laminate": laminate,
    "film in plane stress": lambda law: polycrystal(law, plane="stress"),
}
PLASTIC = {"tilted steel": tilted, "steel in plane strain": PlaneStrain}

for_every_law = pytest.mark.parametrize(
    "law", contract.LAWS, ids=lambda law: law.__name__
)


def strain(material, size):
    return jnp.asarray(size * DIRECTION[: material.num_strains])


@for_every_law
@pytest.mark.parametrize("make", ELASTIC.values(), ids=ELASTIC)
def test_elastic_materials_obey(law, make, silicon):
    material = make(silicon)
    law(material, strain(material, 1e-3))


@for_every_law
@pytest.mark.parametrize("material", NONLINEAR.values(), ids=NONLINEAR)
def test_nonlinear_materials_obey(law, material):
    law(material, strain(material, 1e-2))


@pytest.mark.slow  # a minute of compiling
@for_every_law
def test_a_columnar_polycrystal_obeys(law, silicon):
    material = polycrystal(silicon)
    law(material, strain(material, 1e-3))


@for_every_law
@pytest.mark.parametrize("make", PLASTIC.values(), ids=PLASTIC)
def test_a_yielding_material_of_a_user_obeys(law, make, steel):
    material = make(steel)
    law(material, strain(material, 1e-2))
