"""One training loop for every network and every material; hyperparameter search."""

from jaxmat.training._batches import Batches as Batches
from jaxmat.training._fit import fit as fit
from jaxmat.training._record import Progress as Progress
from jaxmat.training._search import Trials as Trials
from jaxmat.training._search import search as search
from jaxmat.training._step import in_precision as in_precision
