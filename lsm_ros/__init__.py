# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Camera images in; metric poses, a dense semantic 3D map and its labels out."""
from pkgutil import extend_path

from lsm_ros.threads import sleep_while_waiting

sleep_while_waiting()  # before NumPy, PyTorch and OpenCV are loaded

# The generated messages (lsm_ros.msg, lsm_ros.srv) are installed under this package's name.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
