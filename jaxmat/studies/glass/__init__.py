"""A glass with stiff inclusions, and networks of small boxes of atoms for it."""

from jaxmat.studies.glass._data import KINDS as KINDS
from jaxmat.studies.glass._data import NUM_ATOMS as NUM_ATOMS
from jaxmat.studies.glass._data import Runs as Runs
from jaxmat.studies.glass._data import gather_runs as gather_runs
from jaxmat.studies.glass._data import load_boxes as load_boxes
from jaxmat.studies.glass._data import make_runs as make_runs
from jaxmat.studies.glass._data import read_runs as read_runs
from jaxmat.studies.glass._data import save_boxes as save_boxes
from jaxmat.studies.glass._data import write_runs as write_runs
from jaxmat.studies.glass._fit import Trace as Trace
from jaxmat.studies.glass._fit import fit_network as fit_network
from jaxmat.studies.glass._loads import SQUARE as SQUARE
from jaxmat.studies.glass._loads import STEP as STEP
from jaxmat.studies.glass._loads import cyclic_paths as cyclic_paths
from jaxmat.studies.glass._loads import monotonic_paths as monotonic_paths
from jaxmat.studies.glass._loads import random_paths as random_paths
from jaxmat.studies.glass._network import box_network as box_network
from jaxmat.studies.glass._network import predict as predict
from jaxmat.studies.glass._reference import Response as Response
from jaxmat.studies.glass._reference import load_solid as load_solid
from jaxmat.studies.glass._rivals import nearest_history as nearest_history
from jaxmat.studies.glass._rivals import plastic_network as plastic_network
from jaxmat.studies.glass._solids import bonds as bonds
from jaxmat.studies.glass._solids import make_cells as make_cells
from jaxmat.studies.glass._solids import make_solid as make_solid
from jaxmat.studies.glass._solids import stiffened as stiffened
