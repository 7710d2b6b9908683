"""Grids, grains and orientation maps: making, cleaning, measuring them."""

from jaxmat.microstructure._grid import Grid as Grid
from jaxmat.microstructure._grid import Microstructure as Microstructure
from jaxmat.microstructure._grid import OrientationMap as OrientationMap
from jaxmat.microstructure._grid import Phase as Phase
