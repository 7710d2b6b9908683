"""Laws that answer stress for strain at one point."""

from jaxmat.materials._base import AbstractMaterial as AbstractMaterial
from jaxmat.materials._base import check_small_strain as check_small_strain
from jaxmat.materials._base import stiffness_of as stiffness_of
from jaxmat.materials._base import tangent as tangent
from jaxmat.materials._damage import Damage as Damage
from jaxmat.materials._drive import History as History
from jaxmat.materials._drive import LoadPath as LoadPath
from jaxmat.materials._drive import drive as drive
from jaxmat.materials._drive import follow as follow
from jaxmat.materials._elastic import LinearElastic as LinearElastic
from jaxmat.materials._elastic import Oriented as Oriented
from jaxmat.materials._elastic import PlaneStrain as PlaneStrain
from jaxmat.materials._elastic import PlaneStress as PlaneStress
from jaxmat.materials._finite import AbstractFiniteMaterial as AbstractFiniteMaterial
from jaxmat.materials._finite import FiniteStrain as FiniteStrain
from jaxmat.materials._finite import SaintVenantKirchhoff as SaintVenantKirchhoff
from jaxmat.materials._finite import SmallStrain as SmallStrain
from jaxmat.materials._plastic import J2Plasticity as J2Plasticity
from jaxmat.materials._plastic import J2State as J2State
from jaxmat.materials._plastic import LinearHardening as LinearHardening
from jaxmat.materials._plastic import SwiftHardening as SwiftHardening
from jaxmat.materials._plastic import TabulatedHardening as TabulatedHardening
from jaxmat.materials._plastic import VoceHardening as VoceHardening
from jaxmat.materials._viscoelastic import PronySeries as PronySeries
from jaxmat.materials._viscoelastic import ViscoelasticState as ViscoelasticState
