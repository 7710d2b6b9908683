"""Networks on the films, and the study as a whole: data, training, report."""

from jaxmat.studies.polysilicon._learn import predict as predict
from jaxmat.studies.polysilicon._model_file import read_model as read_model
from jaxmat.studies.polysilicon._study import Study as Study
from jaxmat.studies.polysilicon._study import open_study as open_study
