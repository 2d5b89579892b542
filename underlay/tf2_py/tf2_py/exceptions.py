# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What a lookup can go wrong with; all derive from TransformException."""


class TransformException(Exception):
    """Any failure of the transform library."""


class LookupException(TransformException):
    """A frame is not known."""


class ConnectivityException(TransformException):
    """Both frames are known, but no chain of transforms joins them."""


class ExtrapolationException(TransformException):
    """The requested time lies outside the data of some frame on the way."""


class InvalidArgumentException(TransformException):
    """A frame name is empty or starts with a slash."""


class TimeoutException(TransformException):
    """A remote buffer did not answer in time."""
