"""Elasticity of single crystals, and of polycrystals without texture."""

from jaxmat.crystals._constants import Constants as Constants
from jaxmat.crystals._constants import constants as constants
from jaxmat.crystals._constants import names as names
from jaxmat.crystals._directional import bulk_modulus as bulk_modulus
from jaxmat.crystals._directional import (
    linear_compressibility as linear_compressibility,
)
from jaxmat.crystals._directional import poissons_ratio as poissons_ratio
from jaxmat.crystals._directional import shear_modulus as shear_modulus
from jaxmat.crystals._directional import youngs_modulus as youngs_modulus
from jaxmat.crystals._directional import zener_ratio as zener_ratio
from jaxmat.crystals._polycrystal import Bounds as Bounds
from jaxmat.crystals._polycrystal import Isotropic as Isotropic
from jaxmat.crystals._polycrystal import hashin_shtrikman as hashin_shtrikman
from jaxmat.crystals._polycrystal import hill as hill
from jaxmat.crystals._polycrystal import reuss as reuss
from jaxmat.crystals._polycrystal import self_consistent as self_consistent
from jaxmat.crystals._polycrystal import universal_anisotropy as universal_anisotropy
from jaxmat.crystals._polycrystal import voigt as voigt
from jaxmat.crystals._stiffness import CLASS_OF_LAUE as CLASS_OF_LAUE
from jaxmat.crystals._stiffness import cubic as cubic
from jaxmat.crystals._stiffness import hexagonal as hexagonal
from jaxmat.crystals._stiffness import isotropic as isotropic
from jaxmat.crystals._stiffness import monoclinic as monoclinic
from jaxmat.crystals._stiffness import orthorhombic as orthorhombic
from jaxmat.crystals._stiffness import rotate_stiffness as rotate_stiffness
from jaxmat.crystals._stiffness import tetragonal as tetragonal
from jaxmat.crystals._stiffness import triclinic as triclinic
from jaxmat.crystals._stiffness import trigonal as trigonal
from jaxmat.crystals._validate import check_plane_strain as check_plane_strain
from jaxmat.crystals._validate import check_stiffness as check_stiffness
from jaxmat.crystals._waves import Waves as Waves
from jaxmat.crystals._waves import wave_speeds as wave_speeds
