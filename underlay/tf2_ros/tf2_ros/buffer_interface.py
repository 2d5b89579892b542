# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What all transform buffers share: transforming stamped objects, and the registry of how to."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from std_msgs.msg import Header

NO_WAIT = Duration()


class TypeException(Exception):
    """Nothing is registered for a type."""

    def __init__(self, errstr: str) -> None:
        super().__init__(errstr)
        self.errstr = errstr


class NotImplementedException(Exception):
    """A buffer lacks one of the methods that BufferInterface asks for."""

    def __init__(self) -> None:
        self.errstr = "CanTransform or LookupTransform not implemented"
        super().__init__(self.errstr)


def _registered(registry: dict, key: Any) -> Callable:
    if key not in registry:
        raise TypeException(f"Type {key} is not loaded or supported")
    return registry[key]


class TransformRegistration:
    """Functions (object, TransformStamped) -> object by the type of the object; one registry for the process.

    Packages such as tf2_geometry_msgs fill it when they are imported.
    """

    _transforms: dict[type, Callable] = {}

    def add(self, key: type, callback: Callable[[Any, TransformStamped], Any]) -> None:
        """Register how to transform objects of type `key`."""
        self._transforms[key] = callback

    def get(self, key: type) -> Callable[[Any, TransformStamped], Any]:
        """Function for type `key`; raises TypeException if there is none."""
        return _registered(self._transforms, key)

    def print_me(self) -> None:
        """Print the registry."""
        print(self._transforms)


class ConvertRegistration:
    """Conversions between types: direct ones, and to and from a message; one registry for the process."""

    _to_msg: dict[type, Callable] = {}
    _from_msg: dict[type, Callable] = {}
    _direct: dict[tuple[type, type], Callable] = {}

    def add_from_msg(self, key: type, callback: Callable[[Any], Any]) -> None:
        """Register how to make a `key` of a message."""
        self._from_msg[key] = callback

    def add_to_msg(self, key: type, callback: Callable[[Any], Any]) -> None:
        """Register how to make a message of a `key`."""
        self._to_msg[key] = callback

    def add_convert(self, key: tuple[type, type], callback: Callable[[Any], Any]) -> None:
        """Register how to make a `key[1]` of a `key[0]`."""
        self._direct[key] = callback

    def get_from_msg(self, key: type) -> Callable[[Any], Any]:
        """Function from message to `key`; raises TypeException if there is none."""
        return _registered(self._from_msg, key)

    def get_to_msg(self, key: type) -> Callable[[Any], Any]:
        """Function from `key` to message; raises TypeException if there is none."""
        return _registered(self._to_msg, key)

    def get_convert(self, key: tuple[type, type]) -> Callable[[Any], Any]:
        """Function from `key[0]` to `key[1]`; raises TypeException if there is none."""
        return _registered(self._direct, key)


def convert(a: Any, b_type: type) -> Any:
    """Object of type `b_type` made of `a`: by a direct conversion, a copy, or by way of a message."""
    registration = ConvertRegistration()
    if (type(a), b_type) in ConvertRegistration._direct:
        return registration.get_convert((type(a), b_type))(a)
    if type(a) is b_type:
        return deepcopy(a)
    to_msg, from_msg = registration.get_to_msg(type(a)), registration.get_from_msg(b_type)
    return from_msg(to_msg(a))


def Stamped(obj: Any, stamp: Any, frame_id: str) -> Any:
    """The same object with a header of this time and frame."""
    obj.header = Header(frame_id=frame_id, stamp=stamp)
    return obj


class BufferInterface:
    """Base of the buffers: subclasses look up transforms, this class applies them."""

    def __init__(self) -> None:
        self.registration = TransformRegistration()

    def transform(
        self, object_stamped: Any, target_frame: str, timeout: Duration = NO_WAIT, new_type: type | None = None
    ) -> Any:
        """The object in another frame at the time of its header, as type `new_type` if given.

        Waits up to `timeout` for the transform. Raises TypeException for a type that nobody registered, and what
        `lookup_transform` raises.
        """
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        result = do_transform(
            object_stamped, self.lookup_transform(target_frame, header.frame_id, header.stamp, timeout)
        )
        return result if new_type is None else convert(result, new_type)

    def transform_full(
        self,
        object_stamped: Any,
        target_frame: str,
        target_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
        new_type: type | None = None,
    ) -> Any:
        """The object in another frame at another time, by way of a frame that does not move between the two."""
        do_transform = self.registration.get(type(object_stamped))
        header = object_stamped.header
        found = self.lookup_transform_full(
            target_frame, target_time, header.frame_id, header.stamp, fixed_frame, timeout
        )
        result = do_transform(object_stamped, found)
        return result if new_type is None else convert(result, new_type)

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """T_target_source at a time; subclasses provide it."""
        raise NotImplementedException()

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """T_target_source between two times; subclasses provide it."""
        raise NotImplementedException()

    def can_transform(self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT) -> bool:
        """Whether `lookup_transform` would succeed; subclasses provide it."""
        raise NotImplementedException()

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> bool:
        """Whether `lookup_transform_full` would succeed; subclasses provide it."""
        raise NotImplementedException()
