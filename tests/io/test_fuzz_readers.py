"""Whatever is in a file, reading it gives a map or one sentence, and soon."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from ebsd_files import ang_text, write_channel5, write_edax_h5, write_h5oina
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jaxmat import io
from jaxmat._check import JaxmatError
from jaxmat.microstructure import OrientationMap

DATA = Path(__file__).parents[1] / "data" / "ebsd"
EULER = np.array([[0.3, 0.7, 1.1], [4.2, 1.4, 6.1], [2.0, 3.0, 0.1], [5.5, 2.2, 3.3]])
ENDINGS = ["ang", "ctf", "cpr", "crc", "h5", "h5oina", "txt", "ANG", ""]
FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TOKENS = [
    *(b"nan", b"inf", b"-1", b"1e400", b"1e-400", b"9" * 30, b"0", b"0.5", b",", b"\n"),
    *(b"#", b"\t", b"[", b"=", b"\x00", b"\xff", b"\xe2\x80\xa8", b"HexGrid", b"7.1e8"),
]
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 40),
        st.sampled_from(TOKENS) | st.binary(max_size=8),
    ),
    max_size=4,
)


def reads_or_refuses(path, read=io.read_ebsd):
    """A map whose every number is sound, or one line of text."""
    sentence, m = "", None
    try:
        m = read(path)
    except JaxmatError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert len(sentence) < 600
    if isinstance(m, OrientationMap):
        q = np.asarray(m.quaternion)
        np.testing.assert_allclose(np.linalg.norm(q, axis=-1), 1.0, atol=1e-6)
        assert np.asarray(m.phase).max() < len(m.phases)
        assert not (np.asarray(m.confidence) > 1).any()


def edit(raw, edits):
    """Delete and insert at a few places."""
    for place, length, new in edits:
        start = int(place * len(raw))
        raw = raw[:start] + new + raw[start + length :]
    return raw


@FUZZ
@given(st.binary(max_size=400), st.sampled_from(ENDINGS))
@example(b"", "ang")
@example(b"#", "ang")
@example(b"[", "cpr")
@example(b"\x89HDF\r\n\x1a\n", "h5")
@example(b"Channel Text File\nPhase Euler1 Euler2 Euler3", "ctf")
def test_any_bytes_give_a_map_or_a_sentence(tmp_path, raw, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(raw)
    reads_or_refuses(path)


HEXAGONAL = ang_text(
    [f"0.{k} 0.2 0.3 0 0 100.0 0.5 1 1 0.9" for k in range(1, 6)],
    ["GRID: HexGrid", "NCOLS_ODD: 3", "NCOLS_EVEN: 2"],
    steps=(1.0, 0.866025),
)


@FUZZ
@given(st.sampled_from(["tiny.ang", "hex.ang", "tiny.ctf"]), EDITS)
def test_damaged_text_gives_a_map_or_a_sentence(tmp_path, name, edits):
    intact = HEXAGONAL.encode() if name == "hex.ang" else (DATA / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(edit(intact, edits))
    reads_or_refuses(path)


@FUZZ
@given(st.sampled_from(["cpr", "crc"]), EDITS)
def test_damaged_channel_5_gives_a_map_or_a_sentence(tmp_path, half, edits):
    write_channel5(tmp_path / "a.crc", EULER, [1, 2, 0, 1], (2, 2))
    path = tmp_path / f"a.{half}"
    path.write_bytes(edit(path.read_bytes(), edits))
    reads_or_refuses(path)


FLIPS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6
)


@FUZZ
@given(st.sampled_from(["h5", "h5oina", "own"]), FLIPS, EDITS, st.booleans())
def test_damaged_hdf5_gives_a_map_or_a_sentence(tmp_path, kind, flips, edits, resize):
    path = tmp_path / ("own.h5" if kind == "own" else f"a.{kind}")
    if kind == "own":
        io.write_hdf5(path, {"map": io.read_ebsd(DATA / "tiny.ang")})
    else:
        write = write_edax_h5 if kind == "h5" else write_h5oina
        write(path, EULER, [1, 2, 0, 1], (2, 2))
    raw = bytearray(path.read_bytes())
    for place, value in flips:
        raw[int(place * (len(raw) - 1))] = value
    path.write_bytes(edit(bytes(raw), edits if resize else []))
    reads_or_refuses(path, io.read_hdf5 if kind == "own" else io.read_ebsd)


VALUES = st.sampled_from(
    [
        *(np.int32([0]), np.int32([-1]), np.int32([2**31 - 1]), np.float64([np.nan])),
        *(np.float64([1e308]), np.zeros((0, 3)), np.zeros(()), np.zeros((4, 3)), b"x"),
        *(np.array([b"43", b"62"]), h5py.Empty("f4"), np.full((4, 3), 1e300)),
        *(np.zeros(4, [("a", "i4")]), np.full(4, 1j), np.int64([2**62] * 4)),
    ]
)


@FUZZ
@given(st.sampled_from(["h5", "h5oina"]), st.data())
def test_sound_hdf5_of_the_wrong_shape_gives_a_map_or_a_sentence(tmp_path, kind, data):
    path = tmp_path / f"a.{kind}"
    (write_edax_h5 if kind == "h5" else write_h5oina)(path, EULER, [1] * 4, (2, 2))
    with h5py.File(path, "r+") as file:
        names = []
        file.visit(names.append)
        name = data.draw(st.sampled_from(sorted(names)))
        del file[name]
        if data.draw(st.booleans()):
            file[name] = data.draw(VALUES)
    reads_or_refuses(path)


@pytest.mark.parametrize("name", ["tiny.ang", "tiny.ctf"])
def test_every_byte_of_a_text_file_may_be_wrong(tmp_path, name):
    raw, path = (DATA / name).read_bytes(), tmp_path / name
    for place in range(0, len(raw), 3):
        for byte in (b"\x00", b"-", b"9"):
            path.write_bytes(raw[:place] + byte + raw[place + 1 :])
            reads_or_refuses(path)
