"""Polysilicon films: stochastic volume elements, their stiffness, and its scatter.

Networks and the whole study are in `learning`, which loads flax and optax.
"""

from jaxmat.studies.polysilicon._apparent import (
    apparent_stiffness as apparent_stiffness,
)
from jaxmat.studies.polysilicon._apparent import youngs_modulus as youngs_modulus
from jaxmat.studies.polysilicon._averages import dual_average as dual_average
from jaxmat.studies.polysilicon._averages import hill_average as hill_average
from jaxmat.studies.polysilicon._averages import reuss_average as reuss_average
from jaxmat.studies.polysilicon._averages import voigt_average as voigt_average
from jaxmat.studies.polysilicon._baselines import Baselines as Baselines
from jaxmat.studies.polysilicon._baselines import Prediction as Prediction
from jaxmat.studies.polysilicon._baselines import fit_baselines as fit_baselines
from jaxmat.studies.polysilicon._coarse import coarse_solver as coarse_solver
from jaxmat.studies.polysilicon._command import add_polysilicon as add_polysilicon
from jaxmat.studies.polysilicon._design import Design as Design
from jaxmat.studies.polysilicon._design import design as design
from jaxmat.studies.polysilicon._design import relaxed_image as relaxed_image
from jaxmat.studies.polysilicon._files import DataSet as DataSet
from jaxmat.studies.polysilicon._files import merge as merge
from jaxmat.studies.polysilicon._files import read as read
from jaxmat.studies.polysilicon._film import Film as Film
from jaxmat.studies.polysilicon._film import Parameters as Parameters
from jaxmat.studies.polysilicon._film import draw_film as draw_film
from jaxmat.studies.polysilicon._generate import Throughput as Throughput
from jaxmat.studies.polysilicon._generate import generate as generate
from jaxmat.studies.polysilicon._images import channels as channels
from jaxmat.studies.polysilicon._images import grey_image as grey_image
from jaxmat.studies.polysilicon._metrics import bootstrap as bootstrap
from jaxmat.studies.polysilicon._metrics import mean_error as mean_error
from jaxmat.studies.polysilicon._metrics import r2 as r2
from jaxmat.studies.polysilicon._metrics import scatter_error as scatter_error
from jaxmat.studies.polysilicon._metrics import score as score
from jaxmat.studies.polysilicon._presets import Model as Model
from jaxmat.studies.polysilicon._presets import Preset as Preset
from jaxmat.studies.polysilicon._presets import preset as preset
from jaxmat.studies.polysilicon._sensitivity import Agreement as Agreement
from jaxmat.studies.polysilicon._sensitivity import (
    gradient_agreement as gradient_agreement,
)
from jaxmat.studies.polysilicon._sensitivity import pixel_solver as pixel_solver
