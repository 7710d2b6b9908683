"""Crystal symmetry: Laue groups, disorientation, fundamental zones, colours.

Settings, in the orthonormal crystal frame x, y, z: the axis of highest order is z, a
two-fold axis (or a mirror normal, or a cube axis) is x; the unique axis of the
monoclinic system is y (b). Hexagonal and trigonal crystals have a along x, that is the
two-fold axes of -3m lie along a. Vendors' other choices are converted in `jaxmat.io`.
"""

from jaxmat.symmetry._colour import direction_colour as direction_colour
from jaxmat.symmetry._colour import ipf_colour as ipf_colour
from jaxmat.symmetry._disorientation import disorientation as disorientation
from jaxmat.symmetry._disorientation import disorientation_angle as disorientation_angle
from jaxmat.symmetry._disorientation import to_fundamental_zone as to_fundamental_zone
from jaxmat.symmetry._groups import LAUE_GROUPS as LAUE_GROUPS
from jaxmat.symmetry._groups import laue_group as laue_group
from jaxmat.symmetry._groups import operators as operators
from jaxmat.symmetry._mean import mean_orientation as mean_orientation
from jaxmat.symmetry._sector import ipf_corners as ipf_corners
from jaxmat.symmetry._sector import to_sector as to_sector
