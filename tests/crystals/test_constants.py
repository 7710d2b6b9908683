"""The library: every entry cited, possible, and found under the names people use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, crystals, mandel


@pytest.mark.parametrize("name", crystals.names())
def test_every_entry_cites_a_paper_with_its_year(name):
    source = crystals.constants(name).source
    assert "(19" in source or "(20" in source
    assert any(character.isdigit() for character in source.split("),")[1])


@pytest.mark.parametrize("name", crystals.names())
def test_reuss_and_voigt_moduli_of_every_entry_are_those_of_a_solid(name):
    stiffness = crystals.constants(name).stiffness
    lower, upper = crystals.reuss(stiffness), crystals.voigt(stiffness)
    # The softest here is magnesium, the stiffest tungsten and silicon carbide.
    assert 10 < lower.shear <= upper.shear < 200
    assert 30 < lower.bulk <= upper.bulk * (1 + 1e-12) < 320


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("nickel", "Ni"),
        ("Ni-superalloy", "Ni"),
        ("ni_superalloy", "Ni"),
        ("ALUMINUM", "Al"),
        ("Aluminium", "Al"),
        ("Copper", "Cu"),
        ("Silicon", "Si"),
        ("Iron bcc (old)", "Fe-alpha"),
        ("Titanium (Alpha)", "Ti-alpha"),
        ("Zirc-alloy4", "Zr-alpha"),
        ("alpha-quartz", "Quartz"),
    ],
)
def test_phase_names_of_ebsd_files_find_their_crystal(name, entry):
    found, expected = crystals.constants(name), crystals.constants(entry)
    np.testing.assert_array_equal(found.stiffness, expected.stiffness)
    assert (found.laue, found.source) == (expected.laue, expected.source)


@pytest.mark.parametrize("name", ["Austenite", "Iron", "Titanium", "", "unobtainium"])
def test_unknown_or_ambiguous_name_lists_what_there_is(name):
    with pytest.raises(JaxmatError, match="choose one of Ag, Al, Au, Cu, Ni, Fe-alpha"):
        crystals.constants(name)


def test_copper_is_stored_in_voigt_and_returned_in_mandel():
    copper = crystals.constants("Cu")
    assert copper.laue == "m-3m"
    np.testing.assert_allclose(copper.stiffness[3, 3], 2 * 75.8)
    np.testing.assert_allclose(mandel.to_voigt_stiffness(copper.stiffness)[3, 3], 75.8)


def test_constants_pass_through_jit_with_their_citation():
    doubled = jax.jit(lambda c: jax.tree.map(lambda x: 2 * x, c))
    copper = crystals.constants("Cu")
    result = doubled(copper)
    np.testing.assert_array_equal(result.stiffness, 2 * copper.stiffness)
    assert result.source == copper.source


def test_quartz_couples_basal_shear_with_the_sign_its_source_states():
    quartz = crystals.constants("Quartz")
    assert "C14 < 0" in quartz.source
    voigt = mandel.to_voigt_stiffness(quartz.stiffness)
    np.testing.assert_allclose(
        voigt[jnp.array([0, 1, 4]), [3, 3, 5]], [-18.02, 18.02, -18.02]
    )
