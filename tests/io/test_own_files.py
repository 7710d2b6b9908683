"""Our own files: whole or absent, and readable by others."""

import base64
import os
import xml.etree.ElementTree as ET

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmat import io, mandel
from jaxmat._check import JaxmatError
from jaxmat.microstructure import Grid, Microstructure, OrientationMap, Phase

GRID = Grid((3, 2), (1.5, 0.5))
GRAINS = Microstructure(
    grid=GRID,
    grain=jnp.array([[0, 1], [0, 1], [2, 2]]),
    phase=jnp.array([[0, 1], [0, 1], [0, 0]]),
    orientation=jnp.eye(4)[:3],
)
MAP = OrientationMap(
    grid=GRID,
    quaternion=jnp.broadcast_to(jnp.array([0.6, 0.8, 0.0, 0.0]), (3, 2, 4)),
    phase=jnp.array([[0, 1], [0, -1], [0, 0]]),
    phases=(Phase("α-iron", "m-3m"), Phase("titanium", "6/mmm")),
    confidence=jnp.array([[0.5, jnp.nan], [1.0, 0.0], [0.25, 0.125]]),
)


# ---- atomic files --------------------------------------------------------------


def test_a_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "a.json"
    with io.atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "a.json"
    target.write_text("old")

    def fail():
        with io.atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    with io.atomic_path(tmp_path / "atomic") as temporary:
        temporary.write_text("")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "atomic").chmod(0o600)
    with io.atomic_path(tmp_path / "atomic") as temporary:
        temporary.write_text("")
    assert (tmp_path / "atomic").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("target", ["", "missing/a.json", "file/a.json"])
def test_a_place_that_cannot_be_written_is_told(tmp_path, target):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(JaxmatError, match=r"folder"),
        io.atomic_path(tmp_path / target),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(JaxmatError, match="Permission"), io.atomic_path(tmp_path / "a"):
        pass


# ---- HDF5 ----------------------------------------------------------------------


def test_hdf5_returns_what_was_stored(tmp_path):
    stress = np.arange(36.0).reshape(3, 2, 6)
    path = tmp_path / "result.h5"
    io.write_hdf5(
        path,
        {"grains": GRAINS, "map": MAP, "stress": io.Quantity(stress, "GPa")},
        command="jaxmat homogenise",
    )
    items, provenance = io.read_hdf5(path)
    grains, m = items["grains"], items["map"]
    assert grains.grid == GRID
    for key in ("grain", "phase", "orientation"):
        np.testing.assert_array_equal(getattr(grains, key), getattr(GRAINS, key))
    assert m.grid == GRID
    assert m.phases == MAP.phases
    for key in ("quaternion", "phase", "confidence"):
        np.testing.assert_array_equal(getattr(m, key), getattr(MAP, key))
        assert getattr(m, key).dtype == getattr(MAP, key).dtype
    assert items["stress"].unit == "GPa"
    np.testing.assert_array_equal(items["stress"].value, stress)
    assert provenance["command"] == "jaxmat homogenise"
    assert provenance["jaxmat_schema"] == "1"
    assert provenance["created"].endswith("+00:00")


def test_units_and_version_are_there_for_other_programs(tmp_path):
    io.write_hdf5(tmp_path / "a.h5", {"E": io.Quantity(jnp.array(210.0), "GPa")})
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["E"].attrs["unit"] == "GPa"
        assert file["E"][()] == 210.0
        assert file.attrs["jaxmat_version"].count(".") == 2


def test_a_file_cut_off_in_the_middle_of_a_write_is_told(tmp_path):
    path = tmp_path / "a.h5"
    io.write_hdf5(path, {"x": io.Quantity(np.random.default_rng(0).random(5000), "")})
    raw = path.read_bytes()
    for end in (0, 1, 100, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:end])
        with pytest.raises(JaxmatError, match=r"`a\.h5` .* cut off") as caught:
            io.read_hdf5(path)
        assert "\n" not in str(caught.value)


def test_a_newer_schema_and_a_foreign_file_are_told(tmp_path):
    path = tmp_path / "a.h5"
    io.write_hdf5(path, {"map": MAP})
    with h5py.File(path, "r+") as file:
        file.attrs["jaxmat_schema"] = 2
    with pytest.raises(JaxmatError, match=r"schema 2.*upgrade"):
        io.read_hdf5(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(JaxmatError, match="not a jaxmat file"):
        io.read_hdf5(path)
    with pytest.raises(JaxmatError, match="no file"):
        io.read_hdf5(tmp_path / "missing.h5")


@pytest.mark.parametrize(
    ("items", "word"),
    [({"a/b": MAP}, "slash"), ({"": MAP}, "slash"), ({"a": 1.0}, "float")],
)
def test_what_cannot_be_stored_is_told_before_anything_is_written(
    tmp_path, items, word
):
    with pytest.raises(JaxmatError, match=word):
        io.write_hdf5(tmp_path / "a.h5", items)
    assert not list(tmp_path.iterdir())


# ---- VTK -----------------------------------------------------------------------

NUMPY_TYPE = {"Float32": "f4", "Float64": "f8", "Int32": "i4", "Int64": "i8"}
NUMPY_TYPE |= {"UInt8": "u1"}


def parse_vti(path):
    """Cells, spacing and arrays (z, y, x, component): an independent decoder."""
    image = ET.parse(path).getroot().find("ImageData")
    extent = [int(n) for n in image.get("WholeExtent").split()]
    spacing = [float(step) for step in image.get("Spacing").split()]
    cells = extent[1::2]
    arrays = {}
    for element in image.find("Piece").find("CellData"):
        raw = base64.b64decode(element.text)
        size = int.from_bytes(raw[:8], "little")
        assert size == len(raw) - 8
        values = np.frombuffer(raw[8:], "<" + NUMPY_TYPE[element.get("type")])
        width = int(element.get("NumberOfComponents"))
        arrays[element.get("Name")] = values.reshape(*cells[::-1], width)
    return cells, spacing, arrays


def test_vti_cells_run_along_x_first(tmp_path):
    grid = Grid((2, 3, 4), (1.0, 3.0, 2.0))
    index = np.arange(24).reshape(2, 3, 4)
    vector = np.stack(np.meshgrid(*grid.centres(), indexing="ij"), axis=-1)
    fields = {"index": index, "centre <µm>": vector.astype("f4"), "odd": index % 2 == 1}
    io.write_vti(tmp_path / "a.vti", grid, fields)
    cells, spacing, arrays = parse_vti(tmp_path / "a.vti")
    assert cells == [2, 3, 4]
    assert spacing == [0.5, 1.0, 0.5]
    for i, j, k in np.ndindex(2, 3, 4):
        assert arrays["index"][k, j, i, 0] == index[i, j, k]
        assert arrays["odd"][k, j, i, 0] == index[i, j, k] % 2
        np.testing.assert_array_equal(
            arrays["centre <µm>"][k, j, i], vector[i, j, k].astype("f4")
        )


def test_vti_writes_the_plain_components_of_a_mandel_tensor(tmp_path):
    tensor = jnp.array([[1.0, 12.0, 13.0], [12.0, 2.0, 23.0], [13.0, 23.0, 3.0]])
    eps = jnp.broadcast_to(mandel.from_tensor2(tensor), (3, 2, 6))
    full = jnp.broadcast_to(tensor, (3, 2, 3, 3))
    io.write_vti(tmp_path / "a.vti", GRID, {"eps": eps, "full": full})
    cells, spacing, arrays = parse_vti(tmp_path / "a.vti")
    assert cells == [3, 2, 1]
    assert spacing == [0.5, 0.25, 0.5]
    # XX YY ZZ XY YZ XZ
    np.testing.assert_allclose(
        arrays["eps"][0, 1, 2], [1, 2, 3, 12, 23, 13], rtol=1e-12
    )
    np.testing.assert_array_equal(arrays["full"][0, 1, 2], np.ravel(tensor))


@pytest.mark.parametrize(
    "field", [np.zeros((2, 3)), np.zeros((3, 2, 3, 3, 1)), np.full((3, 2), "x")]
)
def test_a_field_that_does_not_fit_is_not_written(tmp_path, field):
    with pytest.raises(JaxmatError, match=r"'u' has shape .* \(3, 2\)"):
        io.write_vti(tmp_path / "a.vti", GRID, {"u": field})
    assert not list(tmp_path.iterdir())


def test_vti_opens_in_pyvista(tmp_path):
    pyvista = pytest.importorskip("pyvista")
    grain = np.array(GRAINS.grain)
    io.write_vti(tmp_path / "a.vti", GRID, {"grain": grain})
    image = pyvista.read(tmp_path / "a.vti")
    np.testing.assert_array_equal(image.cell_data["grain"], grain.T.ravel())
