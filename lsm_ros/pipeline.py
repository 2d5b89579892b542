# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`MappingPipeline` under its public name; it is defined in `lsm_ros.mapping.pipeline`."""
from lsm_ros.mapping.pipeline import MappingPipeline

__all__ = ["MappingPipeline"]
