# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The map on disk: one folder, complete or not there."""
from lsm_ros.mapping.store.graph import FORMAT, GRAPH, META, VOXELS, folder_bytes, load_graph, read_meta, save_graph
from lsm_ros.mapping.store.sessions import SAVED, load_session, save_session, saved_map
from lsm_ros.mapping.store.sums import OWN, SUMS, changed_files, read_sums, rewrite_file, write_sums

__all__ = ["FORMAT", "GRAPH", "META", "OWN", "SAVED", "SUMS", "VOXELS", "changed_files", "folder_bytes", "load_graph",
           "load_session", "read_meta", "read_sums", "rewrite_file", "save_graph", "save_session", "saved_map", "write_sums"]
