"""A fibre composite at the scale of its fibres, and networks that stand for it."""

from jaxmat.studies.composite._data import Paths as Paths
from jaxmat.studies.composite._data import error_in_mpa as error_in_mpa
from jaxmat.studies.composite._data import read_paths as read_paths
from jaxmat.studies.composite._data import write_paths as write_paths
from jaxmat.studies.composite._learn import error_on as error_on
from jaxmat.studies.composite._learn import fit_paths as fit_paths
from jaxmat.studies.composite._learn import predict as predict
from jaxmat.studies.composite._learn import predict_with_dropout as predict_with_dropout
from jaxmat.studies.composite._models import Model as Model
from jaxmat.studies.composite._models import build as build
from jaxmat.studies.composite._models import fibre as fibre
from jaxmat.studies.composite._models import matrix as matrix
