"""Figures of maps and moduli.

Maps are drawn in the map frame: x to the right, y down, so that x3 points into the
page and a positive turn about x3 is clockwise on it. Lengths are micrometres. Every
function returns a `matplotlib.figure.Figure`, made without pyplot (no global state, no
window, any backend); `figure.savefig("map.png", dpi=200)` writes it. Most can draw into
axes that they are given instead.
"""

from jaxmat.plot._ipf import ipf_colours as ipf_colours
from jaxmat.plot._ipf import ipf_key as ipf_key
from jaxmat.plot._maps import ipf_map as ipf_map
from jaxmat.plot._maps import scalar_map as scalar_map
from jaxmat.plot._moduli import directional_modulus as directional_modulus
