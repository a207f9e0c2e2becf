"""The registry of all data sets, in the order in which people choose from them. The first is the default."""

from resflow_core.data import closed_forms, curves, pinwheel, real, rings
from resflow_core.data.base import Dataset

DATASETS: dict[str, Dataset] = {
    "checkerboard": closed_forms.CHECKERBOARD,
    "8gaussians": closed_forms.EIGHT_GAUSSIANS,
    "pinwheel": pinwheel.PINWHEEL,
    "swissroll": curves.SWISS_ROLL,
    "2spirals": curves.TWO_SPIRALS,
    "moons": curves.MOONS,
    "noisymoons": curves.NOISY_MOONS,
    "circles": rings.CIRCLES,
    "rings": rings.RINGS,
    "gaussian": closed_forms.GAUSSIAN,
    "banana": closed_forms.BANANA,
    "wine": real.WINE,
    "iris": real.IRIS,
    "diabetes": real.DIABETES,
}
