"""A fibre composite at the scale of its fibres, and networks that stand for it.

Networks and their training are in `learning`, which loads flax and optax.
"""

from jaxmat.studies.composite._command import add_prnn as add_prnn
from jaxmat.studies.composite._data import Paths as Paths
from jaxmat.studies.composite._data import error_in_mpa as error_in_mpa
from jaxmat.studies.composite._data import in_mpa as in_mpa
from jaxmat.studies.composite._data import read_paths as read_paths
from jaxmat.studies.composite._data import write_paths as write_paths
from jaxmat.studies.composite._loads import canonical_paths as canonical_paths
from jaxmat.studies.composite._loads import (
    gaussian_process_paths as gaussian_process_paths,
)
from jaxmat.studies.composite._loads import proportional_paths as proportional_paths
from jaxmat.studies.composite._phases import fibre as fibre
from jaxmat.studies.composite._phases import matrix as matrix
from jaxmat.studies.composite._reference import composite_cell as composite_cell
from jaxmat.studies.composite._reference import solve_paths as solve_paths
