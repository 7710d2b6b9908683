"""Files: orientation maps in and out, our own HDF5, VTK; whole files or none."""

from jaxmat.io._ang import write_ang as write_ang
from jaxmat.io._atomic import atomic_path as atomic_path
from jaxmat.io._ctf import write_ctf as write_ctf
from jaxmat.io._h5 import opened_hdf5 as opened_hdf5
from jaxmat.io._hdf5 import Quantity as Quantity
from jaxmat.io._hdf5 import Stored as Stored
from jaxmat.io._hdf5 import read_hdf5 as read_hdf5
from jaxmat.io._hdf5 import write_hdf5 as write_hdf5
from jaxmat.io._read import read_ebsd as read_ebsd
from jaxmat.io._vti import write_vti as write_vti
