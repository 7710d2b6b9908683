"""Grids, grains and orientation maps: making, cleaning, measuring them."""

from jaxmat.microstructure._correlations import lineal_path as lineal_path
from jaxmat.microstructure._correlations import radial_average as radial_average
from jaxmat.microstructure._correlations import (
    same_grain_correlation as same_grain_correlation,
)
from jaxmat.microstructure._correlations import (
    two_point_correlation as two_point_correlation,
)
from jaxmat.microstructure._grid import Grid as Grid
from jaxmat.microstructure._grid import Microstructure as Microstructure
from jaxmat.microstructure._grid import OrientationMap as OrientationMap
from jaxmat.microstructure._grid import Phase as Phase
from jaxmat.microstructure._images import majority_filter as majority_filter
from jaxmat.microstructure._images import median_filter as median_filter
from jaxmat.microstructure._images import resample as resample
from jaxmat.microstructure._lattice import gnd_density as gnd_density
from jaxmat.microstructure._lattice import (
    kernel_average_misorientation as kernel_average_misorientation,
)
from jaxmat.microstructure._lattice import lattice_curvature as lattice_curvature
from jaxmat.microstructure._lattice import nye_tensor as nye_tensor
from jaxmat.microstructure._misorientation import Boundaries as Boundaries
from jaxmat.microstructure._misorientation import boundaries as boundaries
from jaxmat.microstructure._misorientation import (
    misorientation_distribution as misorientation_distribution,
)
from jaxmat.microstructure._seeds import lognormal_volumes as lognormal_volumes
from jaxmat.microstructure._seeds import num_grains_for as num_grains_for
from jaxmat.microstructure._seeds import random_seeds as random_seeds
from jaxmat.microstructure._segment import clean as clean
from jaxmat.microstructure._segment import segment as segment
from jaxmat.microstructure._shapes import GrainShapes as GrainShapes
from jaxmat.microstructure._shapes import Summary as Summary
from jaxmat.microstructure._shapes import equivalent_diameters as equivalent_diameters
from jaxmat.microstructure._shapes import grain_shapes as grain_shapes
from jaxmat.microstructure._shapes import grain_volumes as grain_volumes
from jaxmat.microstructure._shapes import summarise as summarise
from jaxmat.microstructure._tessellation import Tessellation as Tessellation
from jaxmat.microstructure._tessellation import columnar as columnar
from jaxmat.microstructure._tessellation import fit_weights as fit_weights
from jaxmat.microstructure._tessellation import laguerre as laguerre
from jaxmat.microstructure._tessellation import rasterise as rasterise
from jaxmat.microstructure._tessellation import voronoi as voronoi
from jaxmat.microstructure._texture import fibre_texture as fibre_texture
from jaxmat.microstructure._texture import map_texture as map_texture
from jaxmat.microstructure._texture import uniform_texture as uniform_texture
from jaxmat.microstructure._validate import check_indices as check_indices
from jaxmat.microstructure._validate import (
    check_microstructure as check_microstructure,
)
from jaxmat.microstructure._validate import (
    check_orientation_map as check_orientation_map,
)
