"""Models of the composite, their training on load paths, and their errors."""

from jaxmat.studies.composite._learn import error_on as error_on
from jaxmat.studies.composite._learn import fit_material as fit_material
from jaxmat.studies.composite._learn import fit_paths as fit_paths
from jaxmat.studies.composite._learn import predict as predict
from jaxmat.studies.composite._learn import predict_with_dropout as predict_with_dropout
from jaxmat.studies.composite._models import Model as Model
from jaxmat.studies.composite._models import build as build
from jaxmat.studies.composite._study import Split as Split
from jaxmat.studies.composite._study import evaluate as evaluate
from jaxmat.studies.composite._study import read_model as read_model
from jaxmat.studies.composite._study import stress_figure as stress_figure
from jaxmat.studies.composite._study import train as train
