# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""CvBridge: ROS image messages to OpenCV arrays and back."""

import array
import sys

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cv_bridge import encodings
from cv_bridge.conversion import cvtColor2
from cv_bridge.message import image_array


class CvBridgeError(TypeError):
    """An image that cannot be converted; the text says why."""


class CvBridge:
    """Converts between OpenCV arrays (BGR by custom) and sensor_msgs/Image and sensor_msgs/CompressedImage."""

    def __init__(self) -> None:
        """Fill the tables that callers of the original read."""
        self.cvtype_to_name = {encodings.parse(f"{depth}C{n}").cv_type: f"{depth}C{n}"
                               for depth in encodings.DEPTHS for n in (1, 2, 3, 4)}
        self.cvdepth_to_numpy_depth = {code: encodings.DTYPES[depth] for depth, code in encodings.DEPTHS.items()}
        self.numpy_type_to_cvtype = {dtype: depth for depth, dtype in encodings.DTYPES.items()}
        self.numpy_type_to_cvtype.update(encodings.DTYPES)

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """Return OpenCV's name, such as '8UC3', of a NumPy type with that many channels; CvBridgeError if none."""
        name = np.dtype(dtype).name
        if name not in encodings.DTYPES.values():
            raise CvBridgeError(f"an image of type {name} has no encoding; convert it to one of "
                                f"{', '.join(encodings.DTYPES.values())}")
        return f"{self.numpy_type_to_cvtype[name]}C{n_channels}"

    def cvtype2_to_dtype_with_channels(self, cvtype: int) -> tuple[str, int]:
        """Return the NumPy type's name and the number of channels of OpenCV's type integer."""
        return self.cvdepth_to_numpy_depth[encodings.CV_MAT_DEPTHWrap(cvtype)], encodings.CV_MAT_CNWrap(cvtype)

    def encoding_to_cvtype2(self, encoding: str) -> int:
        """Return OpenCV's type integer of an encoding; CvBridgeError if it is unknown."""
        try:
            return encodings.getCvType(encoding)
        except RuntimeError as error:
            raise CvBridgeError(str(error)) from error

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """Return the NumPy type's name and the number of channels of an encoding; CvBridgeError if it is unknown."""
        return self.cvtype2_to_dtype_with_channels(self.encoding_to_cvtype2(encoding))

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        """Convert a sensor_msgs/Image to an array.

        Args:
            img_msg: the message; rows may be padded, samples may be big-endian.
            desired_encoding: an encoding to convert to, or 'passthrough' for the message's own.

        Returns:
            (H, W) for one channel, else (H, W, C), native byte order. With 'passthrough' and rows without padding it
            shares memory with the message. Planar nv21 and nv24 pass through as (3/2 H, W) and (3 H, W).

        Raises:
            CvBridgeError: unknown encoding, step or size that do not match, or a conversion without sense.
        """
        try:
            image = image_array(img_msg)
            return image if desired_encoding == "passthrough" else cvtColor2(image, img_msg.encoding, desired_encoding)
        except RuntimeError as error:
            raise CvBridgeError(str(error)) from error

    def cv2_to_imgmsg(self, cvim: np.ndarray, encoding: str = "passthrough", header: Header | None = None) -> Image:
        """Convert an array to a sensor_msgs/Image, whose data is a copy.

        Args:
            cvim: (H, W) or (H, W, C) uint8, int8, uint16, int16, int32, float32 or float64.
            encoding: what it holds, or 'passthrough' for OpenCV's name of its type, such as '8UC3'.
            header: the message's header.

        Raises:
            TypeError: not an array. CvBridgeError: the array does not have the type that the encoding asks for.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError(f"the image must be a numpy array, not {type(cvim).__name__}")
        if cvim.ndim not in (2, 3):
            raise CvBridgeError(f"the image must have shape (H, W) or (H, W, C), not {cvim.shape}")
        channels = 1 if cvim.ndim == 2 else cvim.shape[2]
        name = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        if encoding != "passthrough" and self.encoding_to_cvtype2(encoding) != self.encoding_to_cvtype2(name):
            raise CvBridgeError(f"encoding specified as {encoding}, but the image has the incompatible type {name}")
        msg = Image() if header is None else Image(header=header)
        msg.height, msg.width = cvim.shape[:2]
        msg.encoding = name if encoding == "passthrough" else encoding
        msg.is_bigendian = cvim.dtype.byteorder == ">" or (cvim.dtype.byteorder == "=" and sys.byteorder == "big")
        msg.step = cvim.shape[1] * channels * cvim.dtype.itemsize
        msg.data = _byte_array(cvim)
        return msg

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg: CompressedImage,
                                 desired_encoding: str = "passthrough") -> np.ndarray:
        """Decode a sensor_msgs/CompressedImage.

        Args:
            cmprs_img_msg: the message; its data, not its format string, says how it is compressed.
            desired_encoding: an encoding to convert to, or 'passthrough' for what was stored: gray, BGR or BGRA.

        Returns:
            (H, W) or (H, W, C), of the depth that was stored.

        Raises:
            CvBridgeError: data that cannot be decoded, unknown encoding, or a conversion without sense.
        """
        data = np.frombuffer(cmprs_img_msg.data, dtype=np.uint8)
        complaint = f"cannot decode a compressed image of format '{cmprs_img_msg.format}' with {data.size} bytes"
        try:
            image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
        except cv2.error as error:
            raise CvBridgeError(f"{complaint}: {error}") from error
        if image is None:
            raise CvBridgeError(f"{complaint}: they are no image that OpenCV knows")
        if desired_encoding == "passthrough":
            return image
        try:
            return cvtColor2(image, self._decoded_encoding(image), desired_encoding)
        except RuntimeError as error:
            raise CvBridgeError(str(error)) from error

    def cv2_to_compressed_imgmsg(self, cvim: np.ndarray, dst_format: str = "jpg") -> CompressedImage:
        """Compress an array, (H, W) or (H, W, C) in BGR order, as jpg, png, bmp, tiff, webp or what OpenCV writes.

        Raises:
            TypeError: not an array. CvBridgeError: OpenCV cannot write this array in this format.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError(f"the image must be a numpy array, not {type(cvim).__name__}")
        try:
            done, data = cv2.imencode("." + dst_format, cvim)
        except cv2.error as error:
            raise CvBridgeError(f"cannot write {cvim.dtype} {cvim.shape} as '{dst_format}': {error}") from error
        if not done:
            raise CvBridgeError(f"cannot write {cvim.dtype} {cvim.shape} as '{dst_format}'")
        msg = CompressedImage(format=dst_format)
        msg.data = _byte_array(data)
        return msg

    def _decoded_encoding(self, image: np.ndarray) -> str:
        """Return the encoding of what imdecode returned: gray, BGR or BGRA at 8 or 16 bits, else OpenCV's type name."""
        channels = 1 if image.ndim == 2 else image.shape[2]
        names = {1: "mono", 3: "bgr", 4: "bgra"}
        if image.dtype in (np.uint8, np.uint16) and channels in names:
            return f"{names[channels]}{image.dtype.itemsize * 8}"
        return self.dtype_with_channels_to_cvtype2(image.dtype, channels)


def _byte_array(values: np.ndarray) -> array.array:
    """Return the bytes of an array in C order; messages take an array.array('B') without looking at each element."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
    return data
