"""What the border refuses, and in which words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, crystals, mandel, rotations

TITANIUM = crystals.constants("Ti-alpha").stiffness
QUARTZ = crystals.constants("Quartz").stiffness


@pytest.mark.parametrize("name", crystals.names())
def test_every_crystal_of_the_library_passes_under_its_laue_group(name):
    entry = crystals.constants(name)
    crystals.check_stiffness(entry.stiffness, entry.laue)
    crystals.check_stiffness(np.asarray(entry.stiffness, np.float32))


@pytest.mark.parametrize(
    ("stiffness", "laue"),
    [
        (TITANIUM, "6/mmm"),
        (QUARTZ, "-3m"),
        (crystals.isotropic(97.0, 66.0), "isotropic"),
    ],
)
def test_voigt_for_mandel_is_noticed_where_basal_shear_gives_it_away(stiffness, laue):
    voigt = mandel.to_voigt_stiffness(stiffness)
    crystals.check_stiffness(voigt)  # without the Laue group it is a possible crystal
    with pytest.raises(JaxmatError, match=r"looks like Voigt.*from_voigt_stiffness"):
        crystals.check_stiffness(voigt, laue)


@pytest.mark.parametrize(
    ("stiffness", "sentence"),
    [
        (TITANIUM.at[2, 4].set(jnp.nan), r"stiffness\[2, 4\]` is nan.*finite"),
        (TITANIUM.at[0, 1].add(5.0), r"not symmetric: \[0, 1\] is 96.8 and \[1, 0\]"),
        (crystals.cubic(100.0, 120.0, 50.0), r"lowest eigenvalue is -20;"),
        (jnp.zeros((3, 3, 3, 3)), r"\(3, 3, 3, 3\).*mandel\.from_tensor4"),
    ],
    ids=["nan", "asymmetric", "indefinite", "tensor"],
)
def test_impossible_stiffness_gets_one_sentence(stiffness, sentence):
    with pytest.raises(JaxmatError, match=sentence):
        crystals.check_stiffness(stiffness)


def test_rotated_crystal_is_not_in_its_crystal_frame():
    copper = crystals.constants("Cu").stiffness
    sample = crystals.rotate_stiffness(copper, jnp.array([1.0, 0.2, 0.3, 0.0]))
    crystals.check_stiffness(sample)
    with pytest.raises(JaxmatError, match="does not have the form of m-3m"):
        crystals.check_stiffness(sample, "m-3m")


def test_unknown_laue_group_lists_the_known_ones():
    with pytest.raises(JaxmatError, match=r"'cubic'; choose one of 'm-3m', "):
        crystals.check_stiffness(TITANIUM, "cubic")


def test_under_a_trace_only_the_shape_is_checked():
    @jax.jit
    def checked(c):
        crystals.check_stiffness(c, "6/mmm")
        return c

    assert checked(-TITANIUM)[0, 0] < 0
    with pytest.raises(JaxmatError, match="from_tensor4"):
        checked(jnp.eye(3))


def test_plane_strain_is_for_crystals_with_a_mirror_plane_normal_to_x3():
    about_c, tilted = (
        crystals.rotate_stiffness(
            TITANIUM, rotations.from_euler_bunge(jnp.array(euler))
        )
        for euler in ([0.4, 0.0, 0.0], [0.4, 0.3, 0.0])
    )
    crystals.check_plane_strain(about_c)
    crystals.check_plane_strain(np.stack([[TITANIUM, about_c]]))
    with pytest.raises(JaxmatError, match=r"mirror plane.*shear by \d"):
        crystals.check_plane_strain(np.stack([TITANIUM, tilted]))
    with pytest.raises(JaxmatError, match=r"expected \(6, 6\)"):
        crystals.check_plane_strain(jnp.eye(3))
    jax.jit(crystals.check_plane_strain)(tilted)  # no values under a trace


def test_titanium_turned_about_c_is_still_hexagonal():
    q = rotations.from_euler_bunge(jnp.array([0.4, 0.0, 0.0]))
    crystals.check_stiffness(crystals.rotate_stiffness(TITANIUM, q), "6/mmm")
