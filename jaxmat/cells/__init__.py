"""Materials made of materials: from what fills a specimen to how it behaves."""

from jaxmat.cells._atomistic import AtomisticCell as AtomisticCell
from jaxmat.cells._atomistic import AtomisticState as AtomisticState
from jaxmat.cells._atomistic import atomistic_cell as atomistic_cell
from jaxmat.cells._axes import BOUNDARIES as BOUNDARIES
from jaxmat.cells._base import AbstractCell as AbstractCell
from jaxmat.cells._base import homogenise as homogenise
from jaxmat.cells._bounds import reuss_bound as reuss_bound
from jaxmat.cells._bounds import voigt_bound as voigt_bound
from jaxmat.cells._build import field_cell as field_cell
from jaxmat.cells._build import grid_cell as grid_cell
from jaxmat.cells._dmn import DeepMaterialNetwork as DeepMaterialNetwork
from jaxmat.cells._dmn import DMNState as DMNState
from jaxmat.cells._dmn import deep_material_network as deep_material_network
from jaxmat.cells._grains import Grains as Grains
from jaxmat.cells._grid_cell import Fields as Fields
from jaxmat.cells._grid_cell import GridCell as GridCell
from jaxmat.cells._grid_cell import local_fields as local_fields
from jaxmat.cells._laminate import Laminate as Laminate
from jaxmat.cells._law_field import LawField as LawField
from jaxmat.cells._prnn import PRNN as PRNN
from jaxmat.cells._prnn import prnn as prnn
from jaxmat.cells._substeps import CellState as CellState
from jaxmat.cells._thermal import ThermalCell as ThermalCell
from jaxmat.cells._thermal import ThermalState as ThermalState
from jaxmat.cells._thermal import thermal_cell as thermal_cell
