"""Files of atoms: round trips, other programs' reading, damaged files."""

import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxmat import JaxmatError, atoms, io

LAW = atoms.wca(np.ones((2, 2)), np.ones((2, 2)))


def tilted(seed=0, n=20):
    rng = np.random.default_rng(seed)
    box = 5 * np.eye(3) + rng.uniform(-0.5, 0.5, (3, 3))
    s = rng.uniform(0.01, 0.99, size=(n, 3))
    return atoms.Atoms(jnp.asarray(s), jnp.asarray(box), jnp.arange(n) % 2)


def stacked(n=4):
    """A trajectory of four frames."""
    return jax.tree.map(lambda *x: jnp.stack(x), *[tilted(k, n) for k in range(4)])


def moved(a, **changes):
    parts = {"positions": a.positions, "box": a.box, "species": a.species} | changes
    return atoms.Atoms(**parts)


def write_frame(path, a):
    io.write_xyz(path, [a], ["A", "B"])


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
    frames, path, times = stacked(), tmp_path / "run.h5", jnp.arange(4) * 0.5
    io.write_trajectory(path, frames, times)
    found, found_times = io.read_trajectory(path)
    jax.tree.map(np.testing.assert_array_equal, found, frames)
    np.testing.assert_array_equal(found_times, times)
    io.write_hdf5(path, {"energy": io.Quantity(times, "")})
    with pytest.raises(JaxmatError, match="no trajectory"):
        io.read_trajectory(path)


@pytest.mark.parametrize(
    ("write", "read"), [(io.write_lammps, io.read_lammps), (write_frame, io.read_xyz)]
)
def test_a_file_cut_off_anywhere_is_one_sentence(tmp_path, write, read):
    path = tmp_path / "a"
    write(path, tilted(n=4))
    whole = path.read_text()
    # A number that lost its last digits is still one: up to before the last.
    last = len(whole.rstrip().rsplit(maxsplit=1)[0])
    for length in range(0, last, 7):
        path.write_text(whole[:length])
        with pytest.raises(JaxmatError) as error:
            read(path)
        assert str(error.value).count("\n") == 0
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(JaxmatError, match=r"cannot read .* of a file that you may"):
            read(path)


@pytest.mark.parametrize("read", [io.read_lammps, io.read_xyz])
def test_a_word_that_is_another_gives_atoms_or_one_sentence(tmp_path, read):
    path, writer = tmp_path / "a", np.random.default_rng(0)
    (io.write_lammps if read is io.read_lammps else write_frame)(path, tilted(n=3))
    words = re.split(r"([\s:=\"]+)", path.read_text())
    others = ["nan", "-inf", "1e308", "9" * 5000, "0", "-1", "2.5", "²", "#", "", ":"]
    for place in range(0, len(words), 2):
        for other in [*others, words[2 * writer.integers(len(words) // 2)]]:
            path.write_text("".join([*words[:place], other, *words[place + 1 :]]))
            sentence, found = "", ()
            try:
                found = read(path)
            except JaxmatError as error:
                sentence = str(error)
            assert len(sentence) < 300
            assert "\n" not in sentence
            assert all(np.isfinite(x).all() for x in jax.tree.leaves(found)[:3])


UNFIT = {
    "NaN or infinity": lambda a: moved(a, positions=a.positions.at[2, 0].set(jnp.nan)),
    "NaN or infinity; give": lambda a: moved(a, box=a.box.at[0, 0].set(jnp.inf)),
    "box without volume": lambda a: moved(a, box=a.box.at[:, 2].set(a.box[:, 1])),
    r"\(20, 2\) .* in three dimensions": lambda a: moved(
        a, positions=a.positions[:, :2], box=a.box[:2, :2]
    ),
    r"\(4, 20, 3\) .* one configuration": lambda a: stacked(20),
    "no atoms; give at least one": lambda a: moved(
        a, positions=a.positions[:0], species=a.species[:0]
    ),
    "species -1 .* numbers from 0": lambda a: moved(a, species=a.species - 1),
    "species 0.0 of type float64": lambda a: jax.tree.map(lambda x: 1.0 * x, a),
    "is of type list; give `Atoms`": lambda a: [a],
}


@pytest.mark.parametrize(("words", "change"), UNFIT.items(), ids=UNFIT)
@pytest.mark.parametrize("write", [io.write_lammps, write_frame])
def test_atoms_that_no_reader_could_read_are_not_written(
    tmp_path, write, words, change, monkeypatch
):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    with pytest.raises(JaxmatError, match=words):
        write(tmp_path / "a", change(tilted()))
    assert not (tmp_path / "a").exists()


LAMMPS_MISTAKES = {
    r"`masses` has shape \(1,\) and there are 2": {"masses": [1.0]},
    r"`masses` has shape \(2,\) and there are 3": {"masses": (1, 2), "num_species": 3},
    r"`masses` has shape \(3,\) and there are 2": {"masses": [1] * 3, "num_species": 2},
    r"`masses` has shape \(2, 1\)": {"masses": np.ones((2, 1))},
    "`masses` holds nan": {"masses": np.array([1, np.nan])},
    "`masses` holds -2; give finite numbers, and positive": {"masses": (1.0, -2.0)},
    "`num_species` is 1 and the atoms have 2": {"num_species": 1},
}


@pytest.mark.parametrize(("words", "wrong"), LAMMPS_MISTAKES.items())
def test_masses_and_species_that_are_not_as_many_are_refused(tmp_path, words, wrong):
    with pytest.raises(JaxmatError, match=words):
        io.write_lammps(tmp_path / "a.data", tilted(), **wrong)
    assert not (tmp_path / "a.data").exists()


def test_a_left_handed_box_is_refused_by_lammps_only(tmp_path):
    a = tilted()
    a = moved(a, box=a.box[:, ::-1])
    with pytest.raises(JaxmatError, match="left-handed"):
        io.write_lammps(tmp_path / "a.data", a)
    write_frame(tmp_path / "a.xyz", a)
    (found,) = io.read_xyz(tmp_path / "a.xyz").atoms
    np.testing.assert_allclose(found.positions, a.positions, atol=1e-14)


def test_masses_may_be_an_array_and_name_species_that_no_atom_has(tmp_path):
    path = tmp_path / "a.data"
    io.write_lammps(path, tilted(), masses=jnp.array([28.1, 16.0, 1.0]))
    text = path.read_text()
    assert "\n3 atom types\n" in text
    assert "Masses\n\n1 28.1\n2 16.0\n3 1.0\n\nAtoms" in text
    io.write_lammps(path, tilted(), num_species=4)
    assert "\n4 atom types\n" in path.read_text()
    assert io.read_lammps(path).species.max() == 1


WRONG_HEADERS = {
    "no line '<number> <number> <number> xy xz yz'": ("0.1 0.2 0.3 xy", "0.1 0.2 xy"),
    "a line 'xy xz' in its header": ("0.1 0.2 0.3 xy xz yz", "0.1 0.2 xy xz"),
    "<number> <number> <number> xy xz yz": ("0.1 0.2 0.3 xy", "xy"),
    "no line '<number> <number> xlo xhi'": ("0 2 xlo", "2 xlo"),
    "a line 'xl xhi' in its header": ("0 2 xlo", "0 2 xl"),
    "no volume|without volume": ("0 2 xlo", "2 2 xlo"),
    "has 1.5 atoms; a whole number": ("1 atoms", "1.5 atoms"),
    "has 0 atoms; a whole number": ("1 atoms", "0 atoms"),
    "no line '<number> atoms'": ("1 atoms", "1e999 atoms"),
    "no line '<number> atom types'": ("2 atom types", ""),
    "has 2 atom types and an atom of type 3": ("1 2 1", "1 3 1"),
    "2 atom types and an atom of type 0": ("1 2 1", "1 0 1"),
    "an image that is no whole number": ("0 -1 0", "0 -1 0.5"),
}


@pytest.mark.parametrize(("words", "change"), WRONG_HEADERS.items(), ids=WRONG_HEADERS)
def test_lammps_files_that_contradict_themselves_are_refused(tmp_path, words, change):
    path = tmp_path / "a.data"
    text = (
        "a comment\n\n1 atoms\n2 atom types\n0 2 xlo xhi\n0 2 ylo yhi\n0 2 zlo zhi\n"
        "0.1 0.2 0.3 xy xz yz\n\nAtoms # atomic\n\n1 2 1 1 1 0 -1 0\n"
    )
    path.write_text(text)
    np.testing.assert_allclose(io.read_lammps(path).box[0], [2, 0.1, 0.2])
    assert text.count(change[0]) == 1
    path.write_text(text.replace(*change))
    with pytest.raises(JaxmatError, match=words):
        io.read_lammps(path)


def test_a_file_that_is_not_periodic_is_not_read_as_if_it_were(tmp_path):
    path = tmp_path / "a.xyz"
    write_frame(path, tilted())
    path.write_text(path.read_text().replace('"T T T"', '"T T F"'))
    with pytest.raises(JaxmatError, match='has pbc="T T F"; atoms are periodic here'):
        io.read_xyz(path)


XYZ_MISTAKES = {
    r"the text 'Si'; give .* such as \('Si',\)": ([tilted()], "Si"),
    "'A' names two species": ([tilted()], ["A", "A"]),
    "'B C' names a species; use a name without blanks": ([tilted()], ["A", "B C"]),
    "'' names a species": ([tilted()], ["A", ""]),
    "14 names a species": ([tilted()], [14, 8]),
    "run from 0 to 1 .* has 1 names; give one for each": ([tilted()], ["A"]),
    "there are no frames": ([], ["A", "B"]),
    "one `Atoms`; give a list": (tilted(), ["A", "B"]),
    "frame 1 holds NaN": (
        [tilted(), moved(tilted(), positions=jnp.full((20, 3), jnp.nan))],
        ["A", "B"],
    ),
}


@pytest.mark.parametrize(("words", "wrong"), XYZ_MISTAKES.items(), ids=XYZ_MISTAKES)
def test_frames_and_names_that_would_not_come_back_are_not_written(
    tmp_path, words, wrong, monkeypatch
):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    path = tmp_path / "a.xyz"
    path.write_text("what was there")
    with pytest.raises(JaxmatError, match=words):
        io.write_xyz(path, *wrong)
    assert path.read_text() == "what was there"


def test_a_blank_line_between_frames_hides_none(tmp_path):
    path, frames = tmp_path / "a.xyz", [tilted(seed, 4) for seed in range(3)]
    io.write_xyz(path, frames, ["A", "B"])
    lines = path.read_text().splitlines()
    first, others = lines[:6], lines[6:]
    path.write_text("\n".join(["", *first, "", "  ", *others, "", "\t", ""]))
    found = io.read_xyz(path).atoms
    assert len(found) == 3
    for a, b in zip(frames, found, strict=True):
        np.testing.assert_allclose(b.positions, a.positions, rtol=0, atol=1e-14)
    path.write_text("\n".join([*lines[:4], "", *lines[4:]]))
    with pytest.raises(JaxmatError, match="a line that is too short"):
        io.read_xyz(path)
    path.write_text("\n".join([*first, "", "what is this", *others]))
    with pytest.raises(JaxmatError, match="'what is this' where the number of atoms"):
        io.read_xyz(path)
    path.write_text("\n \n")
    with pytest.raises(JaxmatError, match="has no frames"):
        io.read_xyz(path)


XYZ = 'Lattice="2 0 0 0 3 0 0 0 4" Properties=species:S:1:pos:R:3:tag:I:1'

PROPERTIES, LATTICE = "it needs species of one column", "nine numbers and a volume"

WRONG_COMMENTS = [
    (PROPERTIES, "tag:I:1", "tag:I:0"),
    (PROPERTIES, "tag:I:1", "tag:I:-1"),
    (PROPERTIES, "tag:I:1", "tag:I:²"),
    (PROPERTIES, "tag:I:1", "tag:I"),
    (PROPERTIES, "tag:I:1", "pos:R:3"),
    (PROPERTIES, "species:S:1", "species:S:2"),
    (PROPERTIES, "species:S:1", "name:S:1"),
    (PROPERTIES, "pos:R:3", "pos:R:2"),
    ("a line that is too short", "tag:I:1", "tag:I:2"),
    ("without a place", "species:S:1:pos:R:3", "pos:R:3:species:S:1"),
    (LATTICE, "0 0 0 4", "0 0 0"),
    (LATTICE, "0 0 0 4", "0 0 0 0"),
    (LATTICE, "0 0 0 4", "0 0 0 nan"),
    (LATTICE, "Lattice", "SuperLattice"),
]


@pytest.mark.parametrize(("words", "old", "new"), WRONG_COMMENTS)
def test_frames_that_are_not_as_their_comment_says_are_refused(
    tmp_path, words, old, new
):
    path = tmp_path / "a.xyz"
    path.write_text(f"2\n{XYZ}\nA 0 0 0 1\nB 1 1 1 2\n")
    np.testing.assert_allclose(io.read_xyz(path).atoms[0].positions[1, 1], 1 / 3)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(JaxmatError, match=words):
        io.read_xyz(path)


FRAMES = stacked()
PARTS = {k: getattr(FRAMES, k) for k in ("positions", "box", "species")}
PARTS["times"] = np.arange(4.0)

UNFIT_TRAJECTORIES = {
    r"box \(3, 3\) .* \(frames, d, d\)": {"box": FRAMES.box[0]},
    r"box \(3, 3, 3\)": {"box": FRAMES.box[1:]},
    r"species \(4,\)": {"species": FRAMES.species[0]},
    r"species \(4, 4\) float64": {"species": 1.0 * FRAMES.species},
    r"positions \(4, 4, 2\)": {"positions": FRAMES.positions[..., :2]},
    r"positions \(4, 3\)": {"positions": FRAMES.positions[0]},
    r"positions \(0, 4, 3\)": {k: v[:0] for k, v in PARTS.items()},
    r"times \(2,\)": {"times": np.arange(2.0)},
    r"times \(\)": {"times": np.array(0.1)},
    r"times \(4, 2\)": {"times": np.zeros((4, 2))},
}

NOT_FINITE = {
    "`positions` .* in frame 2": {"positions": FRAMES.positions.at[2, 0].set(jnp.nan)},
    "`box` .* in frame 1": {"box": FRAMES.box.at[1].set(jnp.inf)},
    "`times` .* in frame 3": {"times": np.array([0, 1, 2, np.inf])},
}


def write_parts(path, parts):
    """Arrays in an `Atoms` that was not checked, as `jax.tree.map` makes them."""
    *arrays, times = parts.values()
    frames = jax.tree.unflatten(jax.tree.structure(FRAMES), arrays)
    io.write_trajectory(path, frames, times)


MISTAKES = UNFIT_TRAJECTORIES | NOT_FINITE


@pytest.mark.parametrize(("words", "wrong"), MISTAKES.items(), ids=MISTAKES)
def test_trajectories_that_are_not_whole_are_not_written(
    tmp_path, words, wrong, monkeypatch
):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for a user
    path = tmp_path / "a.h5"
    write_parts(path, PARTS)
    before = path.read_bytes()
    with pytest.raises(JaxmatError, match=words):
        write_parts(path, PARTS | wrong)
    with pytest.raises(JaxmatError, match="of type list; give one `Atoms`"):
        io.write_trajectory(path, [tilted()], PARTS["times"])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "wrong"), UNFIT_TRAJECTORIES.items(), ids=UNFIT_TRAJECTORIES
)
def test_trajectories_whose_arrays_differ_are_not_read(tmp_path, words, wrong):
    path = tmp_path / "a.h5"
    items = {k: io.Quantity(v, "") for k, v in (PARTS | wrong).items()}
    io.write_hdf5(path, items)
    with pytest.raises(JaxmatError, match=words):
        io.read_trajectory(path)


def test_what_is_no_trajectory_is_told_from_one_that_was_cut_off(tmp_path):
    path = tmp_path / "a.h5"
    write_parts(path, PARTS)
    whole = path.read_bytes()
    for length in range(8, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(JaxmatError, match="cut off"):
            io.read_trajectory(path)
    write_frame(path, tilted())
    for other in (path, tmp_path):
        with pytest.raises(JaxmatError, match="is no HDF5 file; give one of `write_tr"):
            io.read_trajectory(other)
    with pytest.raises(JaxmatError, match="there is no file"):
        io.read_trajectory(tmp_path / "absent.h5")
