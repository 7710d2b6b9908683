"""Atoms: periodic configurations, potentials, and what follows from their energy."""

from jaxmat.atoms._atoms import Atoms as Atoms
from jaxmat.atoms._atoms import cartesian as cartesian
from jaxmat.atoms._atoms import deform as deform
from jaxmat.atoms._atoms import from_cartesian as from_cartesian
from jaxmat.atoms._atoms import volume as volume
from jaxmat.atoms._neighbours import Neighbours as Neighbours
from jaxmat.atoms._neighbours import find_neighbours as find_neighbours
from jaxmat.atoms._neighbours import is_current as is_current
from jaxmat.atoms._pair import SMOOTHINGS as SMOOTHINGS
from jaxmat.atoms._pair import AbstractPair as AbstractPair
from jaxmat.atoms._pair import LennardJones as LennardJones
from jaxmat.atoms._pair import Morse as Morse
from jaxmat.atoms._pair import kob_andersen as kob_andersen
from jaxmat.atoms._pair import wahnstrom as wahnstrom
from jaxmat.atoms._pair import wca as wca
from jaxmat.atoms._potential import AbstractPotential as AbstractPotential
from jaxmat.atoms._potential import energy as energy
from jaxmat.atoms._potential import forces as forces
from jaxmat.atoms._potential import stress as stress
from jaxmat.atoms._space import minimum_image as minimum_image
from jaxmat.atoms._space import perpendicular_widths as perpendicular_widths
from jaxmat.atoms._validate import check as check
