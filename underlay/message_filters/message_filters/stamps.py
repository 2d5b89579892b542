# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The time of a message."""

from typing import Any

from rclpy.clock import ROSClock
from rclpy.logging import get_logger
from rclpy.time import Time


def header_stamp(msg: Any) -> Time:
    """Time in the header of a message, which holds a time message or an rclpy Time."""
    stamp = msg.header.stamp
    return stamp if hasattr(stamp, "nanoseconds") else Time.from_msg(stamp)


def stamp_or_now(msg: Any, allow_headerless: bool, logger: str) -> Time | None:
    """Time in the header of a message; for one without, the present time if that is allowed.

    Otherwise warns and returns None.
    """
    if hasattr(msg, "header") and hasattr(msg.header, "stamp"):
        return header_stamp(msg)
    if allow_headerless:
        return ROSClock().now()
    get_logger(logger).warning(
        f"A {type(msg).__name__} has no header.stamp and is dropped. With allow_headerless=True it would count as "
        "of the time of its arrival."
    )
    return None
