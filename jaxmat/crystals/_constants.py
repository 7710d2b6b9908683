"""A library of measured single-crystal constants, each with the paper it comes from.

What this module decides: values are at room temperature and atmospheric pressure. A
name is looked up without regard to case, spaces and punctuation, so that phase names of
EBSD files ("Ni-superalloy", "Titanium (Alpha)") find their crystal; a name that could
mean two crystals ("austenite", "iron", "titanium") finds none. Axes are those of the
builders in `jaxmat.crystals`.
"""

from typing import NamedTuple

import equinox as eqx
from jaxtyping import Array, Float

from jaxmat._check import JaxmatError
from jaxmat.crystals import _stiffness


class Constants(eqx.Module):
    """Elastic constants of one crystal.

    Attributes:
        stiffness: 6x6 Mandel stiffness in the crystal frame of the builders, GPa.
        laue: Laue group, such as "m-3m".
        source: primary reference, with temperature and setting where they matter.
    """

    stiffness: Float[Array, "6 6"]
    laue: str = eqx.field(static=True)
    source: str = eqx.field(static=True)


class _Entry(NamedTuple):
    laue: str
    constants: dict[str, float]  # Voigt, GPa
    source: str
    aliases: tuple[str, ...] = ()


def _cubic(C11, C12, C44, source, *aliases) -> _Entry:
    return _Entry("m-3m", {"C11": C11, "C12": C12, "C44": C44}, source, aliases)


def _hexagonal(C11, C12, C13, C33, C44, source, *aliases) -> _Entry:
    values = {"C11": C11, "C12": C12, "C13": C13, "C33": C33, "C44": C44}
    return _Entry("6/mmm", values, source, aliases)


_LIBRARY = {
    "Ag": _cubic(
        *(124.1, 93.7, 46.4),
        "Neighbours & Alers (1958), Phys. Rev. 111, 707; Chang & Himmel (1966), "
        "J. Appl. Phys. 37, 3567; 293 K",
        "Silver",
    ),
    "Al": _cubic(
        *(106.9, 60.5, 28.4),
        "Kamm & Alers (1964), J. Appl. Phys. 35, 327; Gerlich & Fisher (1969), "
        "J. Phys. Chem. Solids 30, 1197; 293 K",
        "Aluminium",
        "Aluminum",
    ),
    "Au": _cubic(
        *(192.7, 163.2, 42.2),
        "Neighbours & Alers (1958), Phys. Rev. 111, 707; Chang & Himmel (1966), "
        "J. Appl. Phys. 37, 3567; 293 K",
        "Gold",
    ),
    "Cu": _cubic(
        *(168.9, 121.8, 75.8),
        "Overton & Gaffney (1955), Phys. Rev. 98, 969; Chang & Himmel (1966), "
        "J. Appl. Phys. 37, 3567; 293 K",
        "Copper",
    ),
    "Ni": _cubic(
        *(251.0, 150.0, 123.7),
        "Alers et al. (1960), J. Phys. Chem. Solids 13, 40; 293 K; pure nickel, also "
        "where the phase is called Ni-superalloy",
        "Nickel",
        "Ni-superalloy",
        "Nickel superalloy",
    ),
    "Fe-alpha": _cubic(
        *(232.2, 136.4, 117.0),
        "Dever (1972), J. Appl. Phys. 43, 3293; 293 K",
        "Iron-alpha",
        "Alpha iron",
        "Ferrite",
        "Fe bcc",
        "Iron bcc",
        "Iron bcc (old)",
    ),
    "W": _cubic(
        *(524.3, 205.1, 160.7),
        "Featherston & Neighbours (1963), Phys. Rev. 130, 1324; 293 K",
        "Tungsten",
    ),
    "Si": _cubic(
        *(165.64, 63.94, 79.51),
        "Bourgeois et al. (1997), Proc. IEEE Int. Freq. Control Symp., 791; p-type; "
        "298 K",
        "Silicon",
    ),
    "304 austenite": _cubic(
        *(204.6, 137.7, 126.2),
        "Ledbetter (1984), Phys. Status Solidi A 85, 89",
        *("304", "304L", "AISI 304", "X5CrNi18-10"),
    ),
    "316L austenite": _cubic(
        *(218.3, 144.8, 125.4),
        "Scherer et al. (2024), Mater. Sci. Eng. A 900, 146471; 293 K",
        *("316L", "AISI 316L", "X2CrNiMo17-12-2"),
    ),
    "IN625": _cubic(
        *(243.9, 157.0, 117.9),
        "Wang et al. (2016), Mater. Sci. Eng. A 674, 406; 293 K",
        *("Inconel 625", "Alloy 625"),
    ),
    "Ti-alpha": _hexagonal(
        *(162.5, 91.8, 68.9, 180.6, 46.8),
        "Fisher & Renken (1964), Phys. Rev. 135, A482; 293 K",
        *("Titanium (alpha)", "Alpha titanium", "Ti-hex", "Titanium hcp"),
    ),
    "Zr-alpha": _hexagonal(
        *(143.4, 72.8, 65.3, 164.8, 32.0),
        "Fisher & Renken (1964), Phys. Rev. 135, A482, as tabulated in the CRC "
        "Handbook of Chemistry and Physics, 98th ed.; 298 K; pure zirconium, also "
        "where the phase is called Zircaloy-4",
        *("Zirconium (alpha)", "Alpha zirconium", "Zircaloy-4", "Zirc-alloy4"),
    ),
    "Mg": _hexagonal(
        *(59.5, 25.6, 21.5, 61.7, 16.5),
        "Slutsky & Garland (1957), Phys. Rev. 107, 972; 293 K",
        "Magnesium",
    ),
    "Zn": _hexagonal(
        *(163.7, 36.4, 53.0, 63.5, 38.8),
        "Alers & Neighbours (1958), J. Phys. Chem. Solids 7, 58, as tabulated in the "
        "CRC Handbook of Chemistry and Physics, 98th ed.; 295 K",
        "Zinc",
    ),
    "Cd": _hexagonal(
        *(115.7, 39.6, 40.4, 51.2, 20.0),
        "Garland & Silverman (1960), Phys. Rev. 119, 1218; Chang & Himmel (1966), "
        "J. Appl. Phys. 37, 3787; 293 K",
        "Cadmium",
    ),
    "SiC-6H": _hexagonal(
        *(501.0, 111.0, 52.0, 553.0, 163.0),
        "Kamitani et al. (1997), J. Appl. Phys. 82, 3152",
        *("6H-SiC", "Moissanite 6H"),
    ),
    "Sn-beta": _Entry(
        "4/mmm",
        {"C11": 72.6, "C12": 59.4, "C13": 35.8, "C33": 88.8, "C44": 22.2, "C66": 24.1},
        "Rayne & Chandrasekhar (1960), Phys. Rev. 120, 1658; 293 K",
        ("Tin (beta)", "Beta tin", "White tin"),
    ),
    "Quartz": _Entry(
        "-3m",
        {"C11": 86.76, "C12": 6.868, "C13": 11.85, "C14": -18.02}
        | {"C33": 105.46, "C44": 58.14},
        "Ogi et al. (2006), J. Appl. Phys. 100, 053511; alpha quartz, constant field, "
        "303 K; x along a, z along c, C14 < 0 as in the IRE standard of 1949 (turn by "
        "180 degrees about z for the axes of IEEE 176-1978)",
        ("Quartz (alpha)", "Alpha quartz"),
    ),
    "Olivine": _Entry(
        "mmm",
        {"C11": 320.5, "C12": 68.15, "C13": 71.6, "C22": 196.5, "C23": 76.8}
        | {"C33": 233.5, "C44": 64.0, "C55": 77.0, "C66": 78.7},
        "Abramson et al. (1997), J. Geophys. Res. 102, 12253; San Carlos, Fo90; "
        "setting Pbnm: x, y, z along a = 4.76, b = 10.23, c = 5.99 angstrom",
        ("Olivine Fo90",),
    ),
}


def _key(name: str) -> str:
    """Lower-case letters and digits of a name."""
    return "".join(filter(str.isalnum, name.lower()))


_BY_KEY = {
    _key(alias): name
    for name, entry in _LIBRARY.items()
    for alias in (name, *entry.aliases)
}


def names() -> tuple[str, ...]:
    """Names of the crystals in the library; aliases are not listed."""
    return tuple(_LIBRARY)


def constants(name: str) -> Constants:
    """Elastic constants of a crystal in the library.

    Args:
        name: one of `names()`, or a common name such as "Nickel" or "Ni-superalloy";
            case, spaces and punctuation do not matter.

    Returns:
        Stiffness (6x6 Mandel, GPa, in the default float type), Laue group and source.

    Raises:
        JaxmatError: if the name is not known, or could mean more than one crystal.
    """
    if _key(name) not in _BY_KEY:
        raise JaxmatError(
            f"`name` is {name!r}, which is not in the library; choose one of "
            f"{', '.join(names())}, or build a stiffness from your own constants with "
            "crystals.cubic, crystals.hexagonal, ..."
        )
    entry = _LIBRARY[_BY_KEY[_key(name)]]
    build = getattr(_stiffness, _stiffness.CLASS_OF_LAUE[entry.laue])
    return Constants(build(**entry.constants), entry.laue, entry.source)
