# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Filters for messages: store them by time, or match those of several topics."""

from message_filters.cache import Cache
from message_filters.simple_filter import SimpleFilter, Subscriber
from message_filters.synchronizer import ApproximateTimeSynchronizer, TimeSynchronizer

__all__ = ["ApproximateTimeSynchronizer", "Cache", "SimpleFilter", "Subscriber", "TimeSynchronizer"]
