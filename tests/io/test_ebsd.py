"""Reading and writing EBSD maps: real files, variants of the formats, bad input."""

import shutil
from pathlib import Path

import h5py
import jax.numpy as jnp
import numpy as np
import pytest
from ebsd_files import CPR, ang_text, write_channel5, write_edax_h5, write_h5oina

from jaxmat import io
from jaxmat._check import JaxmatError
from jaxmat.microstructure import Grid, OrientationMap, Phase

DATA = Path(__file__).parents[1] / "data" / "ebsd"
LAUE = ["-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m"]
EULER = np.array([[0.3, 0.7, 1.1], [4.2, 1.4, 6.1], [2.0, 3.0, 0.1], [5.5, 2.2, 3.3]])
POINT = "0.1 0.2 0.3 {x} {y} 100.0 0.5 {phase} 1 0.9"
SQUARE = [POINT.format(x=x, y=y, phase=0) for y in (0, 1) for x in (0, 1)]


def random_map(shape=(7, 5), lengths=(3.5, 1.25), seed=0):
    """Every Laue group, unindexed points, confidence."""
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(*shape, 4))
    phase = rng.integers(-1, len(LAUE), shape)
    q[phase < 0] = [1, 0, 0, 0]
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where(q[..., :1] < 0, -q, q)
    confidence = np.where(phase < 0, 0.0, rng.uniform(size=shape))
    return OrientationMap(
        grid=Grid(shape, lengths),
        quaternion=jnp.asarray(q),
        phase=jnp.asarray(phase),
        phases=tuple(Phase(f"phase {laue}", laue) for laue in LAUE),
        confidence=jnp.asarray(confidence),
    )


def angle(p, q):
    """Rotation angle between quaternions, radians, without the loss of arccos."""
    p, q = np.asarray(p), np.asarray(q)
    return 2 * np.minimum(
        np.linalg.norm(p - q, axis=-1), np.linalg.norm(p + q, axis=-1)
    )


# ---- real maps ---------------------------------------------------------------


def test_a_map_without_an_indexed_point_is_read(ebsd_dir):
    m = io.read_ebsd(ebsd_dir / "Test_1.ang")
    assert m.grid.shape == (40, 4)
    assert m.grid.lengths == (10.0, 1.0)
    assert m.phases == (Phase("Nickel", "m-3m"),)
    assert (m.phase == -1).all()
    assert (m.confidence == 0).all()
    np.testing.assert_array_equal(
        m.quaternion, np.broadcast_to([1, 0, 0, 0], (40, 4, 4))
    )


def test_zirconium_ctf_has_190_indexed_points_of_200(ebsd_dir):
    m = io.read_ebsd(ebsd_dir / "Test_US_1.ctf")
    assert m.grid.shape == (40, 5)
    assert m.grid.spacing == (0.5, 0.5)
    assert m.phases == (Phase("Zirc-alloy4", "6/mmm"),)
    assert int((m.phase >= 0).sum()) == 190
    assert int(m.phase[0, 0]) == -1
    assert int(m.phase[1, 0]) == 0
    assert jnp.isnan(m.confidence).all()


def test_edax_h5_has_columns_along_x(ebsd_dir):
    m = io.read_ebsd(ebsd_dir / "EdaxAngOnly.h5")
    assert m.grid.shape == (186, 151)
    assert m.grid.spacing == pytest.approx((1.5, 1.5))
    assert m.phases == (Phase("Nickel", "m-3m"),)
    assert (m.phase == 0).all()
    np.testing.assert_allclose(m.confidence[:3, 0], [0.333, 0.619, 0.571], atol=1e-6)
    with h5py.File(ebsd_dir / "EdaxAngOnly.h5") as file:  # row by row, x fastest
        ci = file["Scan_1/EBSD/Data/CI"][()]
    np.testing.assert_allclose(m.confidence[5, 7], ci[5 + 186 * 7], atol=1e-6)


@pytest.mark.parametrize("ending", ["crc", "cpr"])
def test_channel_5_binary_is_read_from_either_of_its_files(ebsd_dir, ending):
    m = io.read_ebsd(ebsd_dir / f"defdap/testDataEBSD.{ending}")
    assert m.grid.shape == (359, 243)
    assert m.grid.spacing == pytest.approx((0.12, 0.12))
    assert m.phases == (Phase("Ni-superalloy", "m-3m"),)
    assert (m.phase == 0).all()


# ---- formats -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "tolerance"), [("ang", 3e-6), ("ctf", 3e-7)], ids=["ang", "ctf"]
)
def test_a_written_map_comes_back(tmp_path, ending, tolerance):
    # Six decimals of radians, five of degrees: three angles add up.
    m, path = random_map(), tmp_path / f"map.{ending}"
    (io.write_ang if ending == "ang" else io.write_ctf)(path, m)
    back = io.read_ebsd(path)
    assert back.grid.shape == m.grid.shape
    np.testing.assert_allclose(back.grid.lengths, m.grid.lengths, rtol=1e-7)
    assert back.phases == m.phases
    np.testing.assert_array_equal(back.phase, m.phase)
    assert angle(back.quaternion, m.quaternion).max() < tolerance
    if ending == "ang":
        np.testing.assert_allclose(back.confidence, m.confidence, atol=1e-6)


def test_unknown_confidence_is_written_as_trust(tmp_path):
    m = random_map()
    m = OrientationMap(
        m.grid, m.quaternion, m.phase, m.phases, jnp.full(m.grid.shape, jnp.nan)
    )
    io.write_ang(tmp_path / "map.ang", m)
    back = io.read_ebsd(tmp_path / "map.ang")
    np.testing.assert_array_equal(back.confidence, np.where(m.phase < 0, 0.0, 1.0))


def test_all_binary_formats_hold_the_same_map(tmp_path):
    phase = [1, 2, 0, 1]
    write_channel5(tmp_path / "a.crc", EULER, phase, (2, 2))
    write_h5oina(tmp_path / "a.h5oina", EULER, phase, (2, 2))
    write_edax_h5(tmp_path / "a.h5", EULER, phase, (2, 2), mounting=4)
    crc, oina, edax = (
        io.read_ebsd(tmp_path / f"a.{end}") for end in ("crc", "h5oina", "h5")
    )
    assert crc.phases == oina.phases == edax.phases
    assert crc.phases[1] == Phase("Titanium", "6/mmm")
    for other in (oina, edax):
        assert other.grid.spacing == pytest.approx((0.5, 0.25))
        np.testing.assert_array_equal(crc.phase, [[0, -1], [1, 0]])
        np.testing.assert_array_equal(other.phase, crc.phase)
    assert angle(crc.quaternion, oina.quaternion).max() < 1e-7
    # Mounting 4 is Oxford's frame; in titanium the vendors' x differ by 30 degrees.
    np.testing.assert_allclose(
        np.rad2deg(angle(crc.quaternion, edax.quaternion)),
        [[0, 0], [30, 0]],
        atol=0.2,  # chord for arc: 2 sin(x/2) is 1 % short at 30 degrees
    )


@pytest.mark.parametrize("newline", ["\r\n", "\n\n", "\r"])
def test_line_ends_and_blank_lines_do_not_matter(tmp_path, newline):
    for name in ("tiny.ang", "tiny.ctf"):
        text = (DATA / name).read_text().replace("\r", "")
        (tmp_path / name).write_bytes(text.replace("\n", newline).encode())
        wanted, got = io.read_ebsd(DATA / name), io.read_ebsd(tmp_path / name)
        np.testing.assert_array_equal(got.quaternion, wanted.quaternion)
        assert got.phases == wanted.phases


def test_decimal_commas_are_decimal_points(tmp_path):
    text = (DATA / "tiny.ctf").read_text().replace(".", ",")
    (tmp_path / "comma.ctf").write_text(text)
    wanted, got = io.read_ebsd(DATA / "tiny.ctf"), io.read_ebsd(tmp_path / "comma.ctf")
    np.testing.assert_array_equal(got.quaternion, wanted.quaternion)
    assert got.grid.lengths == wanted.grid.lengths


@pytest.mark.parametrize("number", [0, 1])
def test_a_single_phase_may_be_called_0_or_1(tmp_path, number):
    rows = [POINT.format(x=0, y=0, phase=number)] * 4
    (tmp_path / "a.ang").write_text(ang_text(rows))
    assert (io.read_ebsd(tmp_path / "a.ang").phase == 0).all()


def test_the_phase_column_is_found_behind_the_fit(tmp_path):
    rows = ["0.1 0.2 0.3 0 0 100 0.5 0.93 1"] * 4
    (tmp_path / "a.ang").write_text(ang_text(rows))
    assert (io.read_ebsd(tmp_path / "a.ang").phase == 0).all()
    titles = "COLUMN_HEADERS: phi1, PHI, phi2, x, y, IQ, CI, Fit, SEM, Phase index"
    rows = ["0.1 0.2 0.3 0 0 100 0.5 0.93 17 1"] * 4
    (tmp_path / "b.ang").write_text(ang_text(rows, [titles]))
    assert (io.read_ebsd(tmp_path / "b.ang").phase == 0).all()


@pytest.mark.parametrize(
    ("symmetry", "laue"),
    [
        *(("43", "m-3m"), ("23", "m-3"), ("62", "6/mmm"), ("6", "6/m"), ("32", "-3m")),
        *(("3", "-3"), ("42", "4/mmm"), ("4", "4/m"), ("22", "mmm"), ("20", "2/m")),
        *(("1", "-1"), ("m3m", "m-3m"), ("6/mmm", "6/mmm")),
    ],
)
def test_edax_symmetry_numbers_are_laue_groups(tmp_path, symmetry, laue):
    (tmp_path / "a.ang").write_text(ang_text(SQUARE, symmetry=symmetry))
    assert io.read_ebsd(tmp_path / "a.ang").phases == (Phase("Nickel", laue),)


@pytest.mark.parametrize("symmetry", ["2", "21"])
def test_monoclinic_crystals_of_another_unique_axis_are_refused(tmp_path, symmetry):
    (tmp_path / "a.ang").write_text(ang_text(SQUARE, symmetry=symmetry))
    refused(tmp_path / "a.ang", f"'{symmetry}'", "unique axis b")


@pytest.mark.parametrize("number", range(1, 12))
def test_oxford_laue_numbers_are_laue_groups(tmp_path, number):
    write_h5oina(tmp_path / "a.h5oina", EULER, [1] * 4, (2, 2), laue=(number, 11))
    assert io.read_ebsd(tmp_path / "a.h5oina").phases[0].laue == LAUE[number - 1]


def hexagonal_points(odd, rows, step):
    """Positions of a hexagonal scan: even rows are half a step in, one point less."""
    height = step * np.sqrt(3) / 2
    return np.array(
        [
            (i * step + (0.5 * step if j % 2 else 0.0), j * height)
            for j in range(rows)
            for i in range(odd - j % 2)
        ]
    )


def test_a_hexagonal_grid_is_resampled_to_the_nearest_point(tmp_path):
    odd, rows, step = 9, 12, 0.5
    height = step * np.sqrt(3) / 2
    points = hexagonal_points(odd, rows, step)
    phi1 = np.linspace(0.1, 3.0, len(points))
    lines = [
        f"{angle} 0 0 {x} {y} 100 0.5 0 1 0.9"
        for angle, (x, y) in zip(phi1, points, strict=True)
    ]
    header = ["GRID: HexGrid", f"NCOLS_ODD: {odd}", f"NCOLS_EVEN: {odd - 1}"]
    text = ang_text(lines, header, cells=(odd, rows), steps=(step, height))
    (tmp_path / "hex.ang").write_text(text)
    m = io.read_ebsd(tmp_path / "hex.ang", frame="vendor")
    nx, ny = m.grid.shape
    assert (nx, ny) == (odd, round(rows * np.sqrt(3) / 2))
    assert m.grid.spacing == pytest.approx((step, step))
    got = 2 * np.arctan2(m.quaternion[..., 3], m.quaternion[..., 0])
    # Pixel centres: x on the points of the first row, y centred on the scan.
    y = points[-1, 1] / 2 + (np.arange(ny) - (ny - 1) / 2) * step
    for i in range(nx):
        for j in range(ny):
            distance = np.hypot(points[:, 0] - i * step, points[:, 1] - y[j])
            taken = np.argmin(abs(phi1 - got[i, j]))
            assert distance[taken] <= distance.min() + 1e-9


def test_edax_h5_pads_a_hexagonal_grid_with_unindexed_points(tmp_path):
    columns, rows, step = 6, 7, 0.5
    count = columns * rows
    phase = np.ones(count, int)
    phase[2 * columns - 1 :: 2 * columns] = 0  # last of every even row: no point
    write_edax_h5(
        *(tmp_path / "hex.h5", np.full((count, 3), 0.2), phase, (columns, rows)),
        kind="HexGrid",
        steps=(step, step * 0.8660254),
    )
    m = io.read_ebsd(tmp_path / "hex.h5")
    assert m.grid.shape == (columns, 6)
    assert (m.phase[:-1] == 0).all()
    assert (m.phase[-1] == -1).any()


# ---- bad input: one sentence each ----------------------------------------------


def refused(path, *words):
    """The sentence that refuses `path`: the file, the fault, something to do."""
    with pytest.raises(JaxmatError) as caught:
        io.read_ebsd(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in (Path(path).name, *words):
        assert word in sentence, sentence
    return sentence


@pytest.mark.parametrize("ending", ["ang", "ctf", "cpr", "crc", "h5", "h5oina", "txt"])
def test_empty_missing_and_foreign_files_are_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    refused(path, "No such file")
    path.write_bytes(b"")
    refused(path, "empty")
    path.write_bytes(b"\x00\x01 hello")
    refused(path)
    path.unlink()
    path.mkdir()
    refused(path, "directory")


def test_a_mislabelled_file_is_told_its_name(tmp_path):
    write_h5oina(tmp_path / "a.h5oina", EULER, [1] * 4, (2, 2))
    for source, ending, right in (
        *((DATA / "tiny.ang", "ctf", ".ang"), (DATA / "tiny.ctf", "ang", ".ctf")),
        *((DATA / "tiny.ctf", "h5", ".ctf"), (tmp_path / "a.h5oina", "ang", ".h5oina")),
        (tmp_path / "a.h5oina", "crc", ".h5oina"),
    ):
        shutil.copy(source, tmp_path / f"wrong.{ending}")
        refused(tmp_path / f"wrong.{ending}", right, "rename")
    shutil.copy(DATA / "tiny.ang", tmp_path / "right.txt")
    assert io.read_ebsd(tmp_path / "right.txt").grid.shape == (3, 2)


@pytest.mark.parametrize("name", ["tiny.ang", "tiny.ctf"])
def test_a_text_file_cut_off_anywhere_is_refused(tmp_path, name):
    raw = (DATA / name).read_bytes()
    path = tmp_path / name
    # Up to the last point; a cut inside the last number leaves a shorter number.
    for end in range(1, len(raw.rstrip()) - 20, 7):
        path.write_bytes(raw[:end])
        refused(path)


@pytest.mark.parametrize("name", ["a.crc", "a.cpr", "a.h5", "a.h5oina"])
def test_a_binary_file_cut_off_anywhere_is_refused(tmp_path, name):
    write_channel5(tmp_path / "a.crc", EULER, [1] * 4, (2, 2))
    write_h5oina(tmp_path / "a.h5oina", EULER, [1] * 4, (2, 2))
    write_edax_h5(tmp_path / "a.h5", EULER, [1] * 4, (2, 2))
    raw = (tmp_path / name).read_bytes()
    last = raw.rindex(b"LaueGroup") if name == "a.cpr" else len(raw)
    for end in range(1, last, max(last // 60, 1)):
        (tmp_path / name).write_bytes(raw[:end])
        refused(tmp_path / name)


def test_channel_5_needs_both_files(tmp_path):
    write_channel5(tmp_path / "a.crc", EULER, [1] * 4, (2, 2))
    (tmp_path / "a.cpr").unlink()
    refused(tmp_path / "a.crc", "a.cpr", "beside")
    (tmp_path / "b.cpr").write_text(CPR.format(nx=2, ny=2))
    refused(tmp_path / "b.cpr", "b.crc", "beside")


def test_degrees_where_radians_belong_are_noticed(tmp_path):
    rows = [row.replace("0.1 0.2 0.3", "103.2 40.2 29.4") for row in SQUARE]
    (tmp_path / "a.ang").write_text(ang_text(rows))
    refused(tmp_path / "a.ang", "103.2", "degrees")
    write_h5oina(tmp_path / "a.h5oina", np.rad2deg(EULER), [1] * 4, (2, 2))
    refused(tmp_path / "a.h5oina", "degrees")


def test_nan_orientations_are_refused_where_indexed_and_ignored_elsewhere(tmp_path):
    broken = EULER.copy()
    broken[2] = np.nan
    write_h5oina(tmp_path / "a.h5oina", broken, [1] * 4, (2, 2))
    refused(tmp_path / "a.h5oina", "not finite", "not indexed")
    write_h5oina(tmp_path / "a.h5oina", broken, [1, 1, 0, 1], (2, 2))
    m = io.read_ebsd(tmp_path / "a.h5oina")
    assert jnp.isfinite(m.quaternion).all()
    assert int(m.phase[0, 1]) == -1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda t: t.replace("NROWS: 2", "NROWS: 3"), ["4 points", "2 x 3"]),
        (lambda t: t.replace("NROWS: 2", "NROWS: 1000000000"), ["4 points"]),
        (lambda t: t.replace("# NROWS: 2\n", ""), ["NROWS"]),
        (lambda t: t.replace("NROWS: 2", "NROWS: two"), ["NROWS", "'two'"]),
        (lambda t: t.replace("NROWS: 2", "NROWS: 2.5"), ["NROWS", "whole"]),
        (lambda t: t.replace("XSTEP: 1.0", "XSTEP: 0"), ["steps", "positive"]),
        (lambda t: t.replace("XSTEP: 1.0", "XSTEP: nan"), ["XSTEP"]),
        (lambda t: t.replace("SqrGrid", "TriGrid"), ["TriGrid", "HexGrid"]),
        (lambda t: t.replace("SqrGrid", "HexGrid"), ["0.866"]),
        (lambda t: t.replace("# Symmetry 43", "# Symmetry 44"), ["'44'", "43"]),
        (lambda t: t.replace(" 0 1 0.9", " 7 1 0.9", 1), ["phase number 7"]),
        (lambda t: t.replace(" 0 1 0.9", ""), ["7 columns"]),
        (lambda t: t.replace(" 0 1 0.9", " 0 1", 1), ["columns"]),
        (lambda t: t.replace("100.0", "1oo.0", 1), ["1oo.0"]),
        (
            lambda t: "".join(x for x in t.splitlines(True) if x[0] == "#"),
            ["no points"],
        ),
        (lambda t: t.replace("# Phase 1\n# MaterialName Nickel\n", ""), ["no phase"]),
    ],
)
def test_every_fault_of_an_ang_file_has_its_sentence(tmp_path, fault, words):
    (tmp_path / "a.ang").write_text(fault(ang_text(SQUARE)))
    refused(tmp_path / "a.ang", *words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("XCells\t3", "XCells\t4", ["6 points", "4 x 2"]),
        ("XCells\t3", "XCells\t1000000000", ["6 points"]),
        ("XCells\t3", "JobMode\tInteractive", ["XCells"]),
        ("XStep\t0.5", "XStep\t-0.5", ["steps", "positive"]),
        ("Phases\t2", "Phases\t1", []),
        ("Phases\t2", "Phase\t2", ["column"]),
        ("Iron bcc\t11", "Iron bcc\t12", ["12", "1 to 11"]),
        ("\tEuler2", "\tEulerB", ["euler2"]),
        ("315.13", "3150.13", ["one turn"]),
        ("315.13", "NaN", ["not finite"]),
        ("315.13", "3l5.13", ["3l5.13"]),
    ],
)
def test_every_fault_of_a_ctf_file_has_its_sentence(tmp_path, old, new, words):
    text = (DATA / "tiny.ctf").read_bytes().decode()
    (tmp_path / "a.ctf").write_bytes(text.replace(old, new, 1).encode())
    with pytest.raises(JaxmatError) as caught:
        io.read_ebsd(tmp_path / "a.ctf")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("Field2=4", "Field2=9", "3, 4 and 5"),
        ("Count=5", "Count=1000000000", "Field6"),
        ("xCells=2", "xCells=1000000000", "4 points"),
        ("LaueGroup=9", "LaueGroup=99", "1 to 11"),
        ("[Phase2]", "[Phase3]", "phase 2"),
        ("[Job]", "[Bob]", "xCells"),
        ("GridDistX=0.5000", "GridDistX=wide", "'wide'"),
    ],
)
def test_every_fault_of_a_cpr_file_has_its_sentence(tmp_path, old, new, word):
    write_channel5(tmp_path / "a.crc", EULER, [1] * 4, (2, 2))
    text = (tmp_path / "a.cpr").read_text()
    (tmp_path / "a.cpr").write_text(text.replace(old, new, 1))
    refused(tmp_path / "a.crc", word)


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("Data/Euler", np.zeros((4, 2), np.float32), "shape"),
        ("Data/Phase", np.uint8([1, 1, 1]), "columns"),
        ("Data/Phase", np.uint8([1, 1, 1, 9]), "phase number 9"),
        ("Data/Phase", None, "Phase"),
        ("Header/X Cells", np.int32([1000000000]), "4 points"),
        ("Header/X Cells", np.int32([2, 2]), "single"),
        ("Header/X Step", np.float32([np.nan]), "X Step"),
        ("Header/Phases/2/Laue Group", np.int32([0]), "1 to 11"),
        ("Header", np.zeros(3), "group"),
    ],
)
def test_every_fault_of_an_h5oina_file_has_its_sentence(tmp_path, key, value, word):
    write_h5oina(tmp_path / "a.h5oina", EULER, [1] * 4, (2, 2))
    with h5py.File(tmp_path / "a.h5oina", "r+") as file:
        del file[f"1/EBSD/{key}"]
        if value is not None:
            file[f"1/EBSD/{key}"] = value
    refused(tmp_path / "a.h5oina", word)


def test_a_dataset_larger_than_its_bytes_is_refused_unread(tmp_path):
    write_h5oina(tmp_path / "a.h5oina", EULER, [1] * 4, (2, 2))
    with h5py.File(tmp_path / "a.h5oina", "r+") as file:
        del file["1/EBSD/Data/Euler"]
        file.create_dataset("1/EBSD/Data/Euler", (10**12, 3), "f4", chunks=(1000, 3))
    refused(tmp_path / "a.h5oina", "12000000000000 bytes")


def test_a_line_scan_is_not_a_map(tmp_path):
    write_h5oina(tmp_path / "a.h5oina", EULER, [1] * 4, (4, 1))
    refused(tmp_path / "a.h5oina", "line of 4 x 1")


def test_hdf5_files_of_other_kinds_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["numbers"] = np.arange(3)
    refused(tmp_path / "a.h5", "without an EBSD map")
    io.write_hdf5(tmp_path / "b.h5", {})
    refused(tmp_path / "b.h5", "read_hdf5")


def test_an_unknown_frame_is_refused():
    with pytest.raises(JaxmatError, match="'map', 'vendor'"):
        io.read_ebsd(DATA / "tiny.ang", frame="sample")


@pytest.mark.parametrize("write", [io.write_ang, io.write_ctf])
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"phases": ()}, "0 phases"),
        ({"phases": tuple(Phase("a", "5/mmm") for _ in LAUE)}, "5/mmm"),
        ({"quaternion": jnp.zeros((7, 5, 4))}, "0.0, 0.0"),
        ({"quaternion": jnp.full((7, 5, 4), jnp.nan)}, "nan"),
        ({"grid": Grid((5, 7), (1.0, 1.0))}, "(5, 7)"),
        ({"grid": Grid((7, 5, 2), (1.0, 1.0, 1.0))}, "3 dimensions"),
    ],
)
def test_an_inconsistent_map_is_not_written(tmp_path, write, change, word):
    m = random_map()
    parts = {"grid": m.grid, "quaternion": m.quaternion, "phase": m.phase}
    parts |= {"phases": m.phases, "confidence": m.confidence} | change
    with pytest.raises(JaxmatError) as caught:
        write(tmp_path / "map.txt", OrientationMap(**parts))
    assert word in str(caught.value)
    assert not list(tmp_path.iterdir())
