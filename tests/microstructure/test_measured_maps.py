"""Grains of real maps: what everybody who opens them sees."""

import numpy as np
import pytest

from jaxmat import io
from jaxmat import microstructure as ms
from jaxmat._check import JaxmatError

THRESHOLD = float(np.radians(5.0))


@pytest.mark.parametrize(
    ("name", "grains", "diameter"),
    [
        # Found here at 5 degrees with grains of 5 points or more: 301 and 13.6 um,
        # 115 and 2.9 um; the ranges leave room for another choice of cleaning.
        ("EdaxAngOnly.h5", (250, 400), (10.0, 16.0)),
        ("defdap/testDataEBSD.crc", (90, 140), (2.3, 3.5)),
    ],
)
def test_recrystallised_nickel_has_equiaxed_grains_and_twins(
    ebsd_dir, name, grains, diameter
):
    measured = io.read_ebsd(ebsd_dir / name)
    found = ms.segment(ms.clean(measured, min_points=5), THRESHOLD)
    ms.check_microstructure(found)
    assert grains[0] < found.num_grains < grains[1]
    sizes = ms.summarise(ms.equivalent_diameters(found), ms.grain_volumes(found))
    assert diameter[0] < sizes.mean < diameter[1]
    # Annealing twins: 60 degrees about <111> is the most common boundary by far.
    edges = np.radians(np.arange(5.0, 66.0, 5.0))
    density = ms.misorientation_distribution(found, "m-3m", edges, periodic=False)
    twins = np.searchsorted(edges, np.radians(59.9)) - 1
    assert density.argmax() == twins
    assert density[twins] > 3 * np.delete(density, twins).max()


def test_no_orientation_is_invented_by_cleaning(ebsd_dir):
    measured = io.read_ebsd(ebsd_dir / "Test_US_1.ctf")
    indexed = np.asarray(measured.phase) >= 0
    assert (~indexed).sum() == 10
    cleaned = ms.clean(measured)
    assert (np.asarray(cleaned.phase) >= 0).all()
    known = {tuple(q) for q in np.asarray(measured.quaternion)[indexed]}
    assert {tuple(q) for q in np.asarray(cleaned.quaternion).reshape(-1, 4)} <= known


def test_a_map_without_any_indexed_point_is_told_in_a_sentence(ebsd_dir):
    measured = io.read_ebsd(ebsd_dir / "Test_1.ang")
    with pytest.raises(JaxmatError, match=r"no point .* \(all 160 have phase -1\)"):
        ms.clean(measured)
