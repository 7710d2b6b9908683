"""Differentiable physics of materials in JAX."""

from importlib.metadata import version as _version

from jaxmat import atoms as atoms
from jaxmat import cells as cells
from jaxmat import crystals as crystals
from jaxmat import io as io
from jaxmat import mandel as mandel
from jaxmat import materials as materials
from jaxmat import microstructure as microstructure
from jaxmat import rotations as rotations
from jaxmat import solve as solve
from jaxmat import symmetry as symmetry
from jaxmat import training as training
from jaxmat._check import JaxmatError as JaxmatError
from jaxmat.cells import homogenise as homogenise
from jaxmat.materials import AbstractMaterial as AbstractMaterial
from jaxmat.materials import drive as drive
from jaxmat.materials import tangent as tangent

__version__ = _version("jaxmat-multiscale")
