"""Differentiable physics of materials in JAX."""

from jaxmat._check import JaxmatError as JaxmatError
