# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Stand-in for the reader of subscriptions."""


class Unread:
    """Reads nothing: callbacks are called by hand."""

    group = None

    def read(self, *subscriptions):
        pass
