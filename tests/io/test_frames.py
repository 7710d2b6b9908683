"""Frames: what a vendor's angles mean beside the picture they were measured on."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from ebsd_files import write_channel5, write_edax_h5, write_h5oina
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from jaxmat import io

DATA = Path(__file__).parents[1] / "data" / "ebsd"
# Read from tests/data/ebsd/tiny.* by orix 0.15.0, whose quaternions carry sample ->
# crystal: conjugated here. Point five is not indexed.
ORIX_ANG = [
    [0.71847188, 0.315829795, -0.133530696, 0.605160517],
    [0.452171288, 0.543637712, -0.452172394, -0.543635254],
    [0.035196784, 0.580225966, 0.811377888, 0.061359092],
    [1.0, 0.0, 0.0, 0.0],
    [1.0, 0.0, 0.0, 0.0],
    [0.139404998, -0.404248202, -0.794250559, 0.43164301],
]
ORIX_CTF = [
    [0.718472467, 0.315830177, -0.133528831, 0.605160032],
    [0.452151654, 0.543653273, -0.452151654, -0.543653273],
    [0.035186079, 0.580238116, 0.811371218, 0.061338524],
    [1.0, 0.0, 0.0, 0.0],
    [1.0, 0.0, 0.0, 0.0],
    [0.13937981, -0.404251873, -0.794245514, 0.431656987],
]
# Vendor axes in the map frame (x right, y down, z into the specimen).
OXFORD = np.diag([1.0, -1.0, -1.0])
EDAX = {
    1: np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1.0]]),  # A1 down, A2 right
    2: np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1.0]]),  # A1 up, A2 left
    3: np.array([[-1, 0, 0], [0, 1, 0], [0, 0, -1.0]]),  # A1 left, A2 down
    4: np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1.0]]),  # A1 right, A2 up
}
EULER = np.array([[0.3, 0.7, 1.1], [4.2, 1.4, 6.1], [2.0, 3.0, 0.1], [5.5, 2.2, 3.3]])


def in_scan_order(m):
    """Rows of quaternions, x fastest."""
    return np.asarray(m.quaternion).swapaxes(0, 1).reshape(-1, 4)


def matrices(q):
    return Rotation.from_quat(q, scalar_first=True).as_matrix()


def test_ang_angles_mean_what_orix_says_they_mean():
    m = io.read_ebsd(DATA / "tiny.ang", frame="vendor")
    np.testing.assert_allclose(in_scan_order(m), ORIX_ANG, atol=1e-8)


def test_ctf_angles_mean_what_orix_says_up_to_the_hexagonal_axis():
    # In Oxford's titanium x is a*, 30 degrees past a: R(ours) = R(file) Rz(-30).
    m = io.read_ebsd(DATA / "tiny.ctf", frame="vendor")
    wanted = matrices(ORIX_CTF)
    back = Rotation.from_euler("z", -30, degrees=True).as_matrix()
    wanted[2:4] = wanted[2:4] @ back
    got = matrices(in_scan_order(m))
    assert m.phases[1].laue == "6/mmm"
    np.testing.assert_allclose(got, wanted, atol=1e-8)


def test_a_and_a_star_of_titanium_lie_where_oxford_puts_them():
    # At zero angles Oxford's a* is along its x, which is the map's x; a lies 30
    # degrees before a* about c, and c points out of the specimen, to -z of the map.
    m = io.read_ebsd(DATA / "tiny.ctf")
    rotation = matrices(np.asarray(m.quaternion[0, 1]))
    a_star = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6), 0.0])
    np.testing.assert_allclose(rotation @ a_star, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(rotation @ [0, 0, 1], [0, 0, -1], atol=1e-12)


def test_edax_specimen_axes_are_a1_down_a2_right_a3_out():
    q = in_scan_order(io.read_ebsd(DATA / "tiny.ang"))
    wanted = EDAX[1] @ matrices(ORIX_ANG)
    wanted[4] = np.eye(3)  # not indexed
    np.testing.assert_allclose(matrices(q), wanted, atol=1e-8)


def test_oxford_specimen_axes_are_x_right_y_up_z_out(tmp_path):
    write_channel5(tmp_path / "a.crc", EULER, [1, 1, 1, 1], (2, 2))
    write_h5oina(tmp_path / "a.h5oina", EULER, [1, 1, 1, 1], (2, 2))
    wanted = OXFORD @ Rotation.from_euler("ZXZ", EULER).as_matrix()
    for ending in ("crc", "cpr", "h5oina"):
        q = in_scan_order(io.read_ebsd(tmp_path / f"a.{ending}"))
        # Angles are stored as float32.
        np.testing.assert_allclose(matrices(q), wanted, atol=1e-6)


@pytest.mark.parametrize("mounting", [1, 2, 3, 4])
def test_edax_mountings_are_those_of_the_drawings_in_its_files(tmp_path, mounting):
    write_edax_h5(tmp_path / "a.h5", EULER, [1] * 4, (2, 2), mounting=mounting)
    wanted = EDAX[mounting] @ Rotation.from_euler("ZXZ", EULER).as_matrix()
    q = in_scan_order(io.read_ebsd(tmp_path / "a.h5"))
    np.testing.assert_allclose(matrices(q), wanted, atol=1e-6)


def test_a_turned_acquisition_surface_is_undone(tmp_path):
    text = (DATA / "tiny.ctf").read_bytes().decode()
    turned = text.replace("AcqE1\t0", "AcqE1\t90")
    (tmp_path / "turned.ctf").write_text(turned)
    flat, m = io.read_ebsd(DATA / "tiny.ctf"), io.read_ebsd(tmp_path / "turned.ctf")
    # The surface is turned by +90 degrees about z (out): seen from it, crystals are
    # turned by -90 about z out, which is +90 about z of the map (into).
    quarter = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    got, before = matrices(in_scan_order(m)), matrices(in_scan_order(flat))
    np.testing.assert_allclose(got[[0, 5]], quarter @ before[[0, 5]], atol=1e-12)


CUBIC = []
for columns, signs in product(permutations(range(3)), product([1.0, -1.0], repeat=3)):
    matrix = np.zeros((3, 3))
    matrix[range(3), columns] = signs
    if np.linalg.det(matrix) > 0:
        CUBIC.append(matrix)
PLANES = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / np.sqrt(3)
TWINS = Rotation.from_rotvec(np.pi / 3 * PLANES).as_matrix()
TWIN_SYMMETRY = np.einsum("kji,sli->ksjl", TWINS, np.array(CUBIC)).reshape(4, -1, 9)


def test_grains_of_the_nickel_map_are_those_defdap_finds(ebsd_dir):
    # DefDAP's own tests expect 3250 and 3730 boundary points along x and y above 5
    # degrees and 141, 109, 76 grains of at least 0, 10, 100 points on this map.
    m = io.read_ebsd(ebsd_dir / "defdap" / "testDataEBSD.cpr")
    rotation = matrices(np.asarray(m.quaternion))
    points = np.arange(m.grid.size).reshape(m.grid.shape)
    ends, counts = [], []
    for axis in (0, 1):
        a, b = (np.moveaxis(x, axis, 0) for x in (rotation, points))
        turn = np.einsum("xyji,xyjk->xyik", a[:-1], a[1:]).reshape(-1, 9)
        trace = (turn @ np.reshape(CUBIC, (24, 9)).T).max(axis=1)
        same = trace >= 1 + 2 * np.cos(np.deg2rad(5.0))
        ends.append(np.stack([b[:-1].ravel(), b[1:].ravel()])[:, same])
        counts.append(np.sum(~same))
    i, j = np.concatenate(ends, axis=1)
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(m.grid.size, m.grid.size))
    sizes = np.bincount(connected_components(graph, directed=False)[1])
    assert counts == [3250, 3730]
    assert [np.sum(sizes >= least) for least in (0, 10, 100)] == [141, 109, 76]


def twin_normals(m):
    """Points on twin boundaries and the {111} normal the two sides share."""
    rotation = matrices(np.asarray(m.quaternion))
    points, normals = [], []
    for a, b, shift in (
        (rotation[:-1], rotation[1:], (0.5, 0.0)),
        (rotation[:, :-1], rotation[:, 1:], (0.0, 0.5)),
    ):
        turn = np.einsum("xyji,xyjk->xyik", a, b)
        ix, iy = np.nonzero(np.einsum("xyii->xy", turn) < 2.99)  # not within a grain
        turn = turn[ix, iy].reshape(-1, 9)
        # trace(T^t d S), largest over the 24 cubic S: angle to the twin relation T
        trace = np.stack([(turn @ t.T).max(axis=1) for t in TWIN_SYMMETRY], axis=1)
        twin = trace.max(axis=1) > 1 + 2 * np.cos(np.deg2rad(2.0))
        ix, iy, plane = ix[twin], iy[twin], trace[twin].argmax(axis=1)
        points.append(np.stack([ix, iy], axis=1) + shift)
        normals.append(np.einsum("nij,nj->ni", a[ix, iy], PLANES[plane]))
    return np.concatenate(points), np.concatenate(normals)


def share_along_trace(points, normals):
    """Of the straight twin boundaries, the share that runs along its {111} trace."""
    deviation = []
    neighbours = KDTree(points).query_ball_point(points, 7.0)
    for normal, near in zip(normals, neighbours, strict=True):
        same = [k for k in near if abs(normals[k] @ normal) > 0.995]
        trace = np.array([-normal[1], normal[0]])
        if len(same) < 16 or np.linalg.norm(trace) < 0.3:
            continue  # too few points for a direction, or a plane flat in the surface
        centred = points[same] - points[same].mean(axis=0)
        spread, axes = np.linalg.eigh(centred.T @ centred / len(same))
        if spread[0] < 0.35:  # pixels squared: straight
            deviation.append(abs(axes[:, 1] @ trace) / np.linalg.norm(trace))
    return np.mean(np.array(deviation) > np.cos(np.deg2rad(7.0))), len(deviation)


@pytest.mark.parametrize("name", ["EdaxAngOnly.h5", "defdap/testDataEBSD.crc"])
def test_coherent_twin_boundaries_of_nickel_run_along_their_111_planes(ebsd_dir, name):
    # Physics decides the frame: an annealing twin in nickel is bounded by {111}, so
    # the line in the picture must be the trace of the plane computed from the angles.
    # Angles left in the vendor's frame put the traces elsewhere.
    right, count = share_along_trace(*twin_normals(io.read_ebsd(ebsd_dir / name)))
    raw = io.read_ebsd(ebsd_dir / name, frame="vendor")
    wrong, _ = share_along_trace(*twin_normals(raw))
    assert count > 100
    # The rest are incoherent steps. By chance 7.8 % (14 of 180 degrees) would agree,
    # more where few twins lie near the axis that the frames share: measured 0.90 and
    # 0.38 (EDAX, 136 places), 0.87 and 0.12 (Oxford, 1969 places).
    assert right > 0.8
    assert wrong < 0.5
