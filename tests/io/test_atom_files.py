"""Files of atoms: round trips, other programs' reading, damaged files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import JaxmatError, atoms, io

LAW = atoms.wca(np.ones((2, 2)), np.ones((2, 2)))


def tilted(seed=0, n=20):
    rng = np.random.default_rng(seed)
    box = 5 * np.eye(3) + rng.uniform(-0.5, 0.5, (3, 3))
    s = rng.uniform(0.01, 0.99, size=(n, 3))
    return atoms.Atoms(jnp.asarray(s), jnp.asarray(box), jnp.arange(n) % 2)


def invariants(a):
    """What no rotation changes: fractional positions and the metric of the box."""
    return a.positions, a.box.T @ a.box, a.species


def test_lammps_files_keep_all_but_the_orientation(tmp_path):
    a, path = tilted(), tmp_path / "glass.data"
    io.write_lammps(path, a, masses=(1.0, 2.0))
    b = io.read_lammps(path)
    for found, expected in zip(invariants(b), invariants(a), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(np.tril(b.box, -1), 0.0, atol=0)
    assert (np.diag(b.box) > 0).all()
    np.testing.assert_allclose(atoms.energy(LAW, a), atoms.energy(LAW, b), rtol=1e-9)


def test_lammps_files_in_any_order_and_with_an_origin(tmp_path):
    path = tmp_path / "a.data"
    path.write_text(
        "a comment 7 atoms\n\n2 atoms\n1 atom types\n-1 1 xlo xhi # x\n0 3.0 ylo yhi\n"
        "0 4 zlo zhi\n\nMasses\n\n1 39.9\n\nAtoms # atomic\n\n"
        "2 1 0.5 1.5 2 0 0 -1\n1 1 -1 0 0\n\nVelocities\n\n1 0 0 0\n2 1 1 1\n"
    )
    a = io.read_lammps(path)
    np.testing.assert_allclose(a.positions, [[0, 0, 0], [0.75, 0.5, 0.5]], atol=1e-15)
    np.testing.assert_allclose(a.box, np.diag([2.0, 3.0, 4.0]))


@pytest.mark.parametrize(
    ("style", "atom", "message"),
    [
        ("# charge", "1 1 0.5 1 1 1", "atom_style charge"),
        ("", "1 1 0.5 1 1 1", "atom_style is not atomic"),
        ("# atomic", "1 1.5 1 1 1", "no whole number"),
    ],
)
def test_lammps_files_of_other_styles_are_refused(tmp_path, style, atom, message):
    path = tmp_path / "a.data"
    path.write_text(
        "a comment\n\n1 atoms\n2 atom types\n0 2 xlo xhi\n0 2 ylo yhi\n0 2 zlo zhi\n\n"
        f"Atoms {style}\n\n{atom}\n"
    )
    with pytest.raises(JaxmatError, match=message):
        io.read_lammps(path)


def test_extended_xyz_comes_back(tmp_path):
    path, frames = tmp_path / "run.xyz", [tilted(seed) for seed in range(3)]
    io.write_xyz(path, frames, ["Si", "O"])
    found = io.read_xyz(path)
    assert found.symbols == ("Si", "O")
    for a, b in zip(frames, found.atoms, strict=True):
        np.testing.assert_allclose(b.positions, a.positions, rtol=0, atol=1e-14)
        np.testing.assert_array_equal(b.box, a.box)
        np.testing.assert_array_equal(b.species, a.species)


def test_ase_reads_ours_and_we_read_its(tmp_path):
    ase = pytest.importorskip("ase.io")
    frames, path = [tilted(seed) for seed in range(3)], tmp_path / "a.xyz"
    io.write_xyz(path, frames, ["Si", "O"])
    theirs = ase.read(path, index=":")
    assert len(theirs) == 3
    for a, b in zip(frames, theirs, strict=True):
        np.testing.assert_array_equal(b.cell.array, np.asarray(a.box).T)
        np.testing.assert_allclose(b.positions, atoms.cartesian(a), atol=1e-14)
        assert b.get_chemical_symbols() == ["Si", "O"] * 10
        assert b.pbc.all()
        b.arrays["momenta"] = np.ones((20, 3))
    ase.write(tmp_path / "b.xyz", theirs, format="extxyz")
    found = io.read_xyz(tmp_path / "b.xyz")
    assert found.symbols == ("Si", "O")
    for a, b in zip(frames, found.atoms, strict=True):
        np.testing.assert_allclose(b.positions, a.positions, atol=1e-7)  # 8 decimals
        np.testing.assert_allclose(b.box, a.box, atol=1e-7)
        np.testing.assert_array_equal(b.species, a.species)


def test_what_ase_reads_has_the_energy_forces_and_stress_that_ours_have(tmp_path):
    """Lennard-Jones of ASE, cut and shifted; its file holds more than we read."""
    ase = pytest.importorskip("ase.io")
    calculator = pytest.importorskip("ase.calculators.lj")
    rng = np.random.default_rng(0)
    box = 4.8 * np.eye(3) + rng.uniform(-0.1, 0.1, (3, 3))
    s = np.indices((4,) * 3).reshape(3, -1).T / 4 + 0.02 * rng.normal(size=(64, 3))
    a = atoms.Atoms(jnp.asarray(s), jnp.asarray(box), jnp.zeros(64, int))
    law = atoms.LennardJones(1.0, 1.0, 2.2, "energy")
    atoms.check(law, a)
    io.write_xyz(tmp_path / "a.xyz", [a], ["Ar"])
    theirs = ase.read(tmp_path / "a.xyz")
    theirs.calc = calculator.LennardJones(sigma=1.0, epsilon=1.0, rc=2.2, smooth=False)
    energy, stress = theirs.get_potential_energy(), theirs.get_stress(voigt=False)
    np.testing.assert_allclose(atoms.energy(law, a), energy, rtol=1e-12)
    forces = theirs.get_forces()
    np.testing.assert_allclose(atoms.forces(law, a), forces, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(atoms.stress(law, a), stress, rtol=1e-9, atol=1e-10)
    ase.write(tmp_path / "b.xyz", theirs, format="extxyz")
    b = io.read_xyz(tmp_path / "b.xyz").atoms[0]
    np.testing.assert_allclose(b.positions, a.positions, atol=1e-7)  # 8 decimals


def test_trajectories_come_back(tmp_path):
    frames = jax.tree.map(lambda *x: jnp.stack(x), *[tilted(k) for k in range(4)])
    path, times = tmp_path / "run.h5", jnp.arange(4) * 0.5
    io.write_trajectory(path, frames, times)
    found, found_times = io.read_trajectory(path)
    jax.tree.map(np.testing.assert_array_equal, found, frames)
    np.testing.assert_array_equal(found_times, times)
    io.write_hdf5(path, {"energy": io.Quantity(times, "")})
    with pytest.raises(JaxmatError, match="no trajectory"):
        io.read_trajectory(path)
    with pytest.raises(JaxmatError, match="times"):
        io.write_trajectory(path, frames, times[:2])


@pytest.mark.parametrize("kind", ["lammps", "xyz"])
def test_a_file_cut_off_anywhere_is_one_sentence(tmp_path, kind):
    path = tmp_path / "a"
    if kind == "lammps":
        io.write_lammps(path, tilted(n=4))
        read = io.read_lammps
    else:
        io.write_xyz(path, [tilted(n=4)], ["A", "B"])
        read = io.read_xyz
    whole = path.read_text()
    # A number that lost its last digits is still one: up to before the last.
    last = len(whole.rstrip().rsplit(maxsplit=1)[0])
    for length in range(0, last, 7):
        path.write_text(whole[:length])
        with pytest.raises(JaxmatError) as error:
            read(path)
        assert str(error.value).count("\n") == 0
    with pytest.raises(JaxmatError, match="cannot read"):
        read(tmp_path / "absent")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: atoms.Atoms(a.positions, a.box[:, ::-1], a.species), "left-handed"),
        (lambda a: atoms.Atoms(a.positions * jnp.nan, a.box, a.species), "NaN"),
        (
            lambda a: atoms.Atoms(a.positions[:, :2], a.box[:2, :2], a.species),
            "three dimensions",
        ),
    ],
)
def test_what_lammps_cannot_have_is_refused(tmp_path, change, message):
    with pytest.raises(JaxmatError, match=message):
        io.write_lammps(tmp_path / "a.data", change(tilted()))


def test_a_species_without_a_name_is_refused(tmp_path):
    with pytest.raises(JaxmatError, match="one for each"):
        io.write_xyz(tmp_path / "a.xyz", [tilted()], ["A"])
    with pytest.raises(JaxmatError, match="without blanks"):
        io.write_xyz(tmp_path / "a.xyz", [tilted()], ["A", "B C"])
