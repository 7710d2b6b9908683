"""Solvers that know no physics."""

from jaxmat.solve._bicgstab import bicgstab as bicgstab
from jaxmat.solve._cg import conjugate_gradient as conjugate_gradient
from jaxmat.solve._cg import dot as dot
from jaxmat.solve._minimise import fire as fire
from jaxmat.solve._minimise import lbfgs as lbfgs
from jaxmat.solve._minimise import newton as newton
from jaxmat.solve._newton import NewtonInfo as NewtonInfo
from jaxmat.solve._newton import inexact_newton as inexact_newton
from jaxmat.solve._platform import apart as apart
from jaxmat.solve._platform import by_platform as by_platform
from jaxmat.solve._platform import in_turn as in_turn
from jaxmat.solve._scalar import bracketed_root as bracketed_root
from jaxmat.solve._solution import Info as Info
from jaxmat.solve._solution import Solution as Solution
from jaxmat.solve._solution import poison as poison
