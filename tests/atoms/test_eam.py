"""Embedded atoms: a table of an analytic potential, read back."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_crystals import FCC, crystal

from jaxmat import JaxmatError, atoms

CUTOFF = 5.0
NUM = 1001


def fade(r):
    """To zero at the cutoff with two derivatives."""
    return jnp.where(r < CUTOFF, (1 - r / CUTOFF) ** 3, 0.0)


def pair(r, a, b):
    return (0.6 + 0.1 * (a + b)) * (2.6 / r) ** 6 * fade(r)


def density(r, a):
    return (1.0 + 0.3 * a) * jnp.exp(-1.1 * (r - 2.6)) * fade(r)


def embedding(rho, a):
    """As Finnis and Sinclair, but smooth at zero."""
    return -(1.2 - 0.2 * a) * jnp.sqrt(rho + 0.05)


def write(path, elements=("Aa", "Bb")):
    rho = jnp.linspace(0, 20, NUM)
    r = jnp.linspace(0, CUTOFF, NUM)
    lines = ["made for a test", "", "", f"{len(elements)} {' '.join(elements)}"]
    lines += [f"{NUM} {rho[1]:.17g} {NUM} {r[1]:.17g} {CUTOFF}"]

    def table(values):
        return [" ".join(f"{x:.17g}" for x in row) for row in values.reshape(-1, 7)]

    for a, _ in enumerate(elements):
        lines += [f"{13 + a} {26.5 + a} 4.05 fcc"]
        lines += table(embedding(rho, a)) + table(density(r, a))
    for b in range(len(elements)):
        for a in range(b + 1):
            r_safe = jnp.maximum(r, 0.5)  # nothing is that close
            lines += table(r_safe * pair(r_safe, a, b))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def metal(tmp_path):
    return atoms.read_setfl(write(tmp_path / "AaBb.eam.alloy"))


def mixture():
    box = crystal(FCC, 3.9, 3)
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.normal(size=box.positions.shape)
    species = jnp.asarray(rng.integers(0, 2, box.num_atoms))
    return atoms.Atoms(box.positions + noise, box.box, species)


def analytic(a):
    """The same energy, pair by pair."""
    s = a.positions[:, None] - a.positions
    r = (s - jnp.round(s)) @ a.box.T
    own = jnp.eye(a.num_atoms, dtype=bool)
    distance = jnp.linalg.norm(r + own[..., None] * 100.0, axis=-1)
    bonds = pair(distance, a.species[:, None], a.species)
    rho = jnp.sum(density(distance, a.species[None, :]), axis=1)
    return jnp.sum(bonds) / 2 + jnp.sum(embedding(rho, a.species))


def test_a_file_gives_back_the_potential_it_was_made_of(metal):
    assert metal.names == ("Aa", "Bb")
    assert metal.masses == (26.5, 27.5)
    a = mixture()
    atoms.check(metal, a)
    energy = eqx.filter_jit(atoms.energy)(metal, a)
    # A cubic spline of 1000 intervals errs by h^4 / 384 of the fourth derivative.
    np.testing.assert_allclose(energy, analytic(a), rtol=1e-9)

    def of_displacement(u):
        return analytic(atoms.shifted(a, u))

    force = -jax.jit(jax.grad(of_displacement))(jnp.zeros_like(a.positions))
    found = eqx.filter_jit(atoms.forces)(metal, a)
    np.testing.assert_allclose(found, force, rtol=0, atol=1e-6)
    np.testing.assert_allclose(jnp.sum(found, axis=0), 0.0, atol=1e-12)


def test_with_a_list_the_energy_is_the_same(metal):
    a = crystal(FCC, 3.9, 3)
    a = atoms.Atoms(a.positions, a.box, mixture().species)
    neighbours = atoms.find_neighbours(a, metal.cutoff, skin=0.3)
    energy = eqx.filter_jit(atoms.energy)
    np.testing.assert_allclose(
        energy(metal, a, neighbours), energy(metal, a), rtol=1e-13
    )


def test_the_tables_can_be_learned(metal):
    a = mixture()

    @jax.jit
    def of_scale(t):
        scaled = jax.tree.map(lambda x: t * x, metal)
        return atoms.energy(scaled, a)

    # Energy is linear in the pair table and in F, and not in the density.
    h = 1e-5
    difference = (of_scale(1 + h) - of_scale(1 - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(of_scale)(1.0), difference, rtol=1e-8)


def test_a_file_that_is_cut_off_is_refused_in_one_sentence(tmp_path):
    whole = write(tmp_path / "whole").read_text()
    for share in (0.0, 0.01, 0.5, 0.999):
        path = tmp_path / "cut"
        path.write_text(whole[: int(share * len(whole))])
        with pytest.raises(JaxmatError, match="cut off"):
            atoms.read_setfl(path)


def test_a_file_cut_off_within_its_last_number_is_refused(tmp_path):
    """`1.25e-07` without its end is `1.25`, and a number."""
    path = tmp_path / "cut"
    path.write_text(write(path).read_text().rsplit(None, 2)[0] + " 1.25e-07 1.2")
    with pytest.raises(JaxmatError, match=r"ends with '1\.2', which may be half"):
        atoms.read_setfl(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (f"{NUM} 0.02 ", f"{NUM - 1} 0.02 ", "is no setfl file|is cut off"),
        (f"{NUM} 0.02 {NUM} ", f"{NUM} 0.02 {NUM - 7} ", "tables end at 4.97"),
        (" 0.005", " 0", "0 stands where a positive number"),
        (" 0.005", " nan", "nan stands where a positive number"),
        (f" {CUTOFF}", " -5", "-5 stands where"),
        (f" {CUTOFF}", " 5.1", "tables end at 5.005, the cutoff does not"),
        ("26.5 ", "nan ", "nan stands where"),
        ("2 Aa Bb", "0", "0 stands where"),
    ],
)
def test_numbers_that_shift_or_stretch_the_tables_are_refused(
    tmp_path, old, new, words
):
    path = tmp_path / "shifted"
    whole = write(path).read_text()
    header = f"{NUM} 0.02 {NUM} 0.005 {CUTOFF}"
    head = whole.splitlines()[4]
    whole = whole.replace(head, header)
    assert old in whole
    path.write_text(whole.replace(old, new, 1))
    with pytest.raises(JaxmatError, match=words):
        atoms.read_setfl(path)


def test_another_file_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "other"
    path.write_text("# a\n# b\n# c\nnot a potential\nat all\n")
    with pytest.raises(JaxmatError, match="no setfl file"):
        atoms.read_setfl(path)
    path.write_text(write(path).read_text().replace("2 Aa Bb", "2 Aa"))
    with pytest.raises(JaxmatError, match="names 1 elements but says 2"):
        atoms.read_setfl(path)
    path.write_text(write(path).read_text().replace("26.5", "1e3x"))
    with pytest.raises(JaxmatError, match="no setfl file"):
        atoms.read_setfl(path)
    with pytest.raises(JaxmatError, match="cannot read"):
        atoms.read_setfl(tmp_path / "absent")
