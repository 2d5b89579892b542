# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The map on disk: one folder, complete or not there."""
from lsm_ros.mapping.store.graph import FORMAT, GRAPH, META, folder_bytes, load_graph, save_graph

__all__ = ["FORMAT", "GRAPH", "META", "folder_bytes", "load_graph", "save_graph"]
