"""Decides which reader a file gets: its content says, its ending must agree."""

import os
from pathlib import Path

from jaxmat._check import JaxmatError
from jaxmat.io import _text, _vendor_h5
from jaxmat.io._ang import scan_ang
from jaxmat.io._channel5 import scan_channel5
from jaxmat.io._ctf import SIGNATURE, scan_ctf
from jaxmat.io._frames import to_orientation_map
from jaxmat.io._vendor_h5 import scan_vendor_h5
from jaxmat.microstructure import OrientationMap

_READERS = {
    "TSL text": scan_ang,
    "Channel text": scan_ctf,
    "Channel 5": scan_channel5,
    "HDF5": scan_vendor_h5,
}
_ENDINGS = {
    **{".ang": "TSL text", ".ctf": "Channel text"},
    **dict.fromkeys((".cpr", ".crc"), "Channel 5"),
    **dict.fromkeys((".h5", ".hdf5", ".oh5", ".h5oina"), "HDF5"),
}
_HEAD = 4096


def read_ebsd(path: str | os.PathLike, *, frame: str = "map") -> OrientationMap:
    """Read a measured orientation map.

    Formats: TSL/EDAX `.ang`, Oxford/Channel 5 `.ctf` and `.cpr` with `.crc` (give
    either), EDAX `.h5`, Oxford `.h5oina`.

    The frame of the map returned is right-handed: x runs along the scan row (array
    axis 0), y down the image from row to row (array axis 1), z into the specimen.
    Vendors give positions in it, but Euler angles in a frame of their own, and are
    converted: Oxford's (x right, y up, z out) by half a turn about x; EDAX's (A1
    down, A2 right, A3 out, unless the HDF5 file names another mounting) by half a
    turn about x + y. Crystal axes are x along a, z along c for trigonal and hexagonal
    crystals; Oxford's x along a* is converted.

    A hexagonal scan grid is resampled to a square one of the same step by nearest
    neighbour. Points that were not indexed have phase -1 and the identity; a map
    without any indexed point is read all the same. Confidence is EDAX's index clipped
    to 0 ... 1, and NaN for Oxford's formats, which have none.

    Args:
        path: the file.
        frame: "map" as above, or "vendor" to leave the sample frame as in the file:
            for files whose angles refer to the map axes already, as simulation
            programs write them.

    Returns:
        Orientations crystal -> sample, phases, confidence, on a grid in micrometres.

    Raises:
        JaxmatError: if the file is missing, empty, cut off, damaged, not what its
            ending says, or holds angles that are NaN or in the wrong unit.

    References:
        Britton et al. (2016), Mater. Charact. 117, 113-126: the frames of EBSD.
        Oxford Instruments NanoAnalysis, H5OINA file specification.
    """
    name = Path(path).name
    ending = Path(path).suffix.lower()
    head = _text.read_bytes(path, _HEAD)
    if not head:
        raise JaxmatError(f"`{name}` is empty; export or copy it again.")
    wanted, found = _ENDINGS.get(ending), _kind(head)
    if wanted == "Channel 5" and ending == ".crc" and found != "HDF5":
        found = wanted  # packed numbers: nothing to recognise
    if found is None:
        raise JaxmatError(
            f"`{name}` is not an EBSD file that can be read; give TSL .ang, Channel "
            ".ctf or .cpr/.crc, EDAX .h5 or Oxford .h5oina."
        )
    if wanted not in (None, found):
        raise JaxmatError(
            f"`{name}` ends in {ending} but its content is {found}; rename it to "
            f"{' or '.join(end for end, kind in _ENDINGS.items() if kind == found)}."
        )
    return to_orientation_map(_READERS[found](path), frame)


def _kind(head: bytes) -> str | None:
    """What the first bytes say the file is."""
    text = _text.decode(head).lstrip()
    if head.startswith(_vendor_h5.SIGNATURE):
        return "HDF5"
    if text.startswith(SIGNATURE):
        return "Channel text"
    if text.startswith("["):
        return "Channel 5"
    return "TSL text" if text.startswith("#") else None
