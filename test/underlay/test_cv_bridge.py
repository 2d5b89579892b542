# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Every encoding of cv_bridge: known values, round trips, padding, byte order, compression, and what it refuses."""

import importlib
import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sensor_msgs = pytest.importorskip("sensor_msgs.msg")
if importlib.util.find_spec("cv_bridge") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "underlay" / "cv_bridge"))
cv_bridge = importlib.import_module("cv_bridge")
if "Stand-in" not in (cv_bridge.__doc__ or ""):
    pytest.skip("the original cv_bridge is installed, underlay/ is not in use", allow_module_level=True)

CvBridge, CvBridgeError = cv_bridge.CvBridge, cv_bridge.CvBridgeError
COLOURS = [f"{model}{bits}" for bits in (8, 16) for model in ("rgb", "bgr", "rgba", "bgra", "mono")]
NUMBERS = [f"{depth}C{n}" for depth in ("8U", "8S", "16U", "16S", "32S", "32F", "64F") for n in (1, 2, 3, 4)]
BAYER = [f"bayer_{order}{bits}" for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)]
PACKED_YUV = ["uyvy", "yuv422", "yuyv", "yuv422_yuy2"]


@pytest.fixture
def bridge():
    return CvBridge()


def message(encoding, height, width, step, data, is_bigendian=False):
    msg = sensor_msgs.Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=is_bigendian)
    msg.data = bytes(data)
    return msg


def samples(bridge, encoding, height=6, width=8):
    dtype, channels = bridge.encoding_to_dtype_with_channels(encoding)
    values = np.random.default_rng(7).integers(0, 127, (height, width, channels)).astype(dtype)
    return values[:, :, 0] if channels == 1 else values


class TestTypes:
    @pytest.mark.parametrize(("encoding", "cv_type"), [
        ("mono8", cv2.CV_8UC1), ("mono16", cv2.CV_16UC1), ("bgr8", cv2.CV_8UC3), ("rgba16", cv2.CV_16UC4),
        ("bayer_grbg16", cv2.CV_16UC1), ("yuv422", cv2.CV_8UC2), ("yuyv", cv2.CV_8UC2), ("nv21", cv2.CV_8UC1),
        ("8U", cv2.CV_8UC1), ("64FC4", cv2.CV_64FC4), ("16SC2", cv2.CV_16SC2),
        ("32FC5", cv2.CV_32FC4 + cv2.CV_32FC4 - cv2.CV_32FC3)])
    def test_opencv_type_of_an_encoding(self, bridge, encoding, cv_type):
        assert cv_bridge.getCvType(encoding) == cv_type
        assert bridge.encoding_to_cvtype2(encoding) == cv_type

    def test_tables_agree(self, bridge):
        assert bridge.cvtype_to_name[cv2.CV_16SC3] == "16SC3"
        assert len(bridge.cvtype_to_name) == 28
        assert bridge.numpy_type_to_cvtype["float32"] == "32F"
        assert bridge.numpy_type_to_cvtype["32F"] == "float32"
        for name in NUMBERS:
            dtype, channels = bridge.encoding_to_dtype_with_channels(name)
            assert bridge.dtype_with_channels_to_cvtype2(np.dtype(dtype), channels) == name
            assert bridge.cvtype2_to_dtype_with_channels(bridge.encoding_to_cvtype2(name)) == (dtype, channels)

    @pytest.mark.parametrize("encoding", ["", "rgb", "RGB8", "8UC0", "8UC513", "128UC1", "8UC3 ", "passthrough"])
    def test_unknown_encoding_is_named(self, bridge, encoding):
        with pytest.raises(CvBridgeError, match="Unrecognized image encoding"):
            bridge.encoding_to_cvtype2(encoding)
        with pytest.raises(RuntimeError, match="Unrecognized image encoding"):
            cv_bridge.getCvType(encoding)


class TestRoundTrip:
    @pytest.mark.parametrize("encoding", COLOURS + NUMBERS + BAYER + PACKED_YUV + ["nv21", "nv24", "8UC5"])
    @pytest.mark.parametrize("swapped", [False, True])
    def test_passthrough(self, bridge, encoding, swapped):
        image = samples(bridge, encoding)
        given = image.astype(image.dtype.newbyteorder()) if swapped else image
        msg = bridge.cv2_to_imgmsg(given, encoding)
        assert (msg.height, msg.width, msg.encoding) == (6, 8, encoding)
        assert msg.step * msg.height == len(msg.data)
        assert bool(msg.is_bigendian) == ((sys.byteorder == "big") != (swapped and image.dtype.itemsize > 1))
        back = bridge.imgmsg_to_cv2(msg)
        assert back.dtype == image.dtype
        assert back.dtype.isnative
        np.testing.assert_array_equal(back, image)

    def test_header_and_default_encoding(self, bridge):
        header = sensor_msgs.Image().header
        header.frame_id = "camera"
        msg = bridge.cv2_to_imgmsg(np.zeros((2, 3, 4), np.int16), header=header)
        assert (msg.header.frame_id, msg.encoding, msg.step) == ("camera", "16SC4", 24)

    def test_a_view_with_strides_is_sent_in_order(self, bridge):
        image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)[::2, ::-1]
        np.testing.assert_array_equal(bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image, "rgb8")), image)

    @pytest.mark.parametrize("is_bigendian", [False, True])
    @pytest.mark.parametrize("padding", [0, 1, 5, 6])
    def test_padded_rows_in_both_byte_orders(self, bridge, padding, is_bigendian):
        values = np.arange(2 * 3 * 3).reshape(2, 3, 3) + 1000
        rows = values.astype(">u2" if is_bigendian else "<u2").reshape(2, -1).view(np.uint8)
        data = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
        msg = message("bgr16", 2, 3, 18 + padding, data.tobytes(), is_bigendian)
        np.testing.assert_array_equal(bridge.imgmsg_to_cv2(msg), values)

    def test_data_as_uint8_array_and_bytes(self, bridge):
        class Plain:
            height, width, step, encoding, is_bigendian = 1, 2, 4, "16UC1", 0

        for data in (np.array([1, 0, 2, 1], np.uint8), b"\x01\x00\x02\x01", [1, 0, 2, 1]):
            Plain.data = data
            assert bridge.imgmsg_to_cv2(Plain).tolist() == [[1, 258]]


class TestConversion:
    PIXEL = {"rgb8": [10, 20, 30], "bgr8": [30, 20, 10], "rgba8": [10, 20, 30, 255], "bgra8": [30, 20, 10, 255],
             "mono8": [18]}  # 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15

    @pytest.mark.parametrize("source", ["rgb8", "bgr8", "rgba8", "bgra8"])
    @pytest.mark.parametrize("target", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
    def test_known_pixel(self, bridge, source, target):
        image = np.array([[self.PIXEL[source]]], np.uint8)
        result = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image, source), target)
        assert result.reshape(-1).tolist() == self.PIXEL[target]
        assert result.ndim == (2 if target == "mono8" else 3)

    @pytest.mark.parametrize("target", COLOURS)
    def test_mono_to_all(self, bridge, target):
        result = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(np.array([[7]], np.uint8), "mono8"), target)
        scale = 257 if target.endswith("16") else 1
        opaque = [255 * scale] if "a" in target else []
        count = bridge.encoding_to_dtype_with_channels(target)[1] - len(opaque)
        assert result.reshape(-1).tolist() == [7 * scale] * count + opaque

    @pytest.mark.parametrize("source", COLOURS + NUMBERS)
    @pytest.mark.parametrize("target", COLOURS + NUMBERS)
    def test_which_pairs_convert(self, bridge, source, target):
        image = samples(bridge, source)
        msg = bridge.cv2_to_imgmsg(image, source)
        channels = bridge.encoding_to_dtype_with_channels(target)[1]
        same_count = bridge.encoding_to_dtype_with_channels(source)[1] == channels
        both_colours = source in COLOURS and target in COLOURS
        if not (both_colours or (same_count and target in NUMBERS)):
            with pytest.raises(CvBridgeError, match="channel|bare numbers"):
                bridge.imgmsg_to_cv2(msg, target)
            return
        result = bridge.imgmsg_to_cv2(msg, target)
        assert result.dtype == bridge.encoding_to_dtype_with_channels(target)[0]
        assert result.shape == ((6, 8) if channels == 1 else (6, 8, channels))
        if source in NUMBERS or target in NUMBERS:
            depth = {image.dtype.itemsize, result.dtype.itemsize}
            factor = result.dtype.itemsize / image.dtype.itemsize if depth == {1, 2} else 1
            expected = image * (257.0 if factor == 2 else 1 / 257.0 if factor == 0.5 else 1.0)
            limit = np.iinfo(result.dtype).max if result.dtype.kind in "iu" else np.inf
            np.testing.assert_array_equal(result, np.minimum(np.rint(expected), limit))

    def test_depth_is_scaled_and_rounded(self, bridge):
        deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
        flat = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(deep, "mono16"), "mono8")
        np.testing.assert_array_equal(flat, np.rint(deep / 257.0))
        again = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(flat, "mono8"), "mono16")
        np.testing.assert_array_equal(again, flat.astype(np.uint16) * 257)

    def test_floats_are_clipped_and_nan_is_zero(self, bridge):
        image = np.array([[-1.0, 0.5, 1.5, 300.0, np.nan, np.inf, -np.inf]], np.float32)
        result = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image), "8UC1")
        assert result.tolist() == [[0, 0, 2, 255, 0, 255, 0]]

    def test_result_does_not_share_memory(self, bridge):
        msg = bridge.cv2_to_imgmsg(np.zeros((2, 2), np.uint8), "mono8")
        for target in ("mono8", "8UC1"):
            bridge.imgmsg_to_cv2(msg, target)[:] = 9
            assert not any(msg.data)


class TestBayer:
    # Position (row, column) of red in the 2x2 cell; blue is diagonal to it.
    RED = {"rggb": (0, 0), "bggr": (1, 1), "gbrg": (1, 0), "grbg": (0, 1)}

    @pytest.mark.parametrize("order", RED)
    @pytest.mark.parametrize("bits", [8, 16])
    def test_uniform_colour_comes_back(self, bridge, order, bits):
        row, column = self.RED[order]
        scale = 257 if bits == 16 else 1
        mosaic = np.full((8, 8), 100 * scale, np.uint16 if bits == 16 else np.uint8)
        mosaic[row::2, column::2] = 200 * scale
        mosaic[1 - row::2, 1 - column::2] = 50 * scale
        msg = bridge.cv2_to_imgmsg(mosaic, f"bayer_{order}{bits}")
        for target, colour in (("rgb8", [200, 100, 50]), ("bgr16", [50 * 257, 100 * 257, 200 * 257])):
            image = bridge.imgmsg_to_cv2(msg, target)
            assert image[3, 3].tolist() == colour
            assert image[4, 3].tolist() == colour
        assert abs(int(bridge.imgmsg_to_cv2(msg, "mono8")[3, 3]) - (0.299 * 200 + 0.587 * 100 + 0.114 * 50)) <= 1

    @pytest.mark.parametrize("target", ["bayer_bggr8", "bayer_rggb16", "rgba8"])
    def test_what_bayer_does_not_become(self, bridge, target):
        with pytest.raises(CvBridgeError, match="Unsupported conversion"):
            bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(np.zeros((4, 4), np.uint8), "bayer_rggb8"), target)


class TestYuv:
    # BT.601, limited range: (Y, U, V) = (81, 90, 240) is red.
    Y, U, V = 81, 90, 240

    def assert_red(self, bridge, msg, height, width):
        for target, red in (("rgb8", [255, 0, 0]), ("bgr8", [0, 0, 255]), ("bgra8", [0, 0, 255, 255])):
            image = bridge.imgmsg_to_cv2(msg, target)
            assert image.shape == (height, width, len(red))
            assert np.abs(image.astype(int) - red).max() <= 2
        gray = bridge.imgmsg_to_cv2(msg, "mono8")
        assert gray.shape == (height, width)
        assert (gray == self.Y).all()
        assert (bridge.imgmsg_to_cv2(msg, "mono16") == self.Y * 257).all()

    @pytest.mark.parametrize("encoding", PACKED_YUV)
    def test_packed(self, bridge, encoding):
        pair = [self.U, self.Y, self.V, self.Y] if encoding in ("uyvy", "yuv422") else [self.Y, self.U, self.Y, self.V]
        msg = message(encoding, 2, 4, 8, pair * 4)
        self.assert_red(bridge, msg, 2, 4)
        assert bridge.imgmsg_to_cv2(msg).shape == (2, 4, 2)

    @pytest.mark.parametrize("height", [4, 6])
    def test_nv21_with_the_height_of_picture_or_buffer(self, bridge, height):
        msg = message("nv21", height, 4, 4, [self.Y] * 16 + [self.V, self.U] * 4)
        assert bridge.imgmsg_to_cv2(msg).shape == (6, 4)
        self.assert_red(bridge, msg, 4, 4)

    @pytest.mark.parametrize("height", [2, 6])
    def test_nv24_with_the_height_of_picture_or_buffer(self, bridge, height):
        msg = message("nv24", height, 3, 3, [self.Y] * 6 + [self.U, self.V] * 6)
        self.assert_red(bridge, msg, 2, 3)

    def test_nothing_becomes_yuv(self, bridge):
        msg = bridge.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), "bgr8")
        for target in (*PACKED_YUV, "nv21", "nv24"):
            with pytest.raises(CvBridgeError, match="Unsupported conversion"):
                bridge.imgmsg_to_cv2(msg, target)


class TestBadInput:
    @pytest.mark.parametrize(("encoding", "step", "size", "text"), [
        ("rgb8", 11, 22, r"step is 11 bytes.*4 \* 3 \* 1 = 12"), ("rgb8", 12, 23, "2 [*] 12 = 24, but data has 23"),
        ("rgb8", 12, 25, "has 25 bytes"), ("mono16", 8, 8, "has 8 bytes"), ("mono8", 0, 0, "step is 0 bytes"),
        ("32FC1", 16, 0, "has 0 bytes"), ("nv21", 4, 11, "has 11 bytes"), ("made_up", 12, 24, "made_up"),
        ("bgr8", 2**32 - 1, 24, "has 24 bytes")])
    def test_lying_message(self, bridge, encoding, step, size, text):
        with pytest.raises(CvBridgeError, match=text):
            bridge.imgmsg_to_cv2(message(encoding, 2, 4, step, bytes(size)))

    def test_huge_size_is_refused_without_memory(self, bridge):
        with pytest.raises(CvBridgeError, match="data has 4 bytes"):
            bridge.imgmsg_to_cv2(message("mono8", 2**32 - 1, 2**31, 2**31, bytes(4)))

    def test_zero_size(self, bridge):
        msg = bridge.cv2_to_imgmsg(np.zeros((0, 0, 3), np.uint8), "rgb8")
        assert bridge.imgmsg_to_cv2(msg).shape == (0, 0, 3)
        with pytest.raises(CvBridgeError, match="OpenCV cannot convert"):
            bridge.imgmsg_to_cv2(msg, "bgr8")

    def test_one_pixel(self, bridge):
        msg = message("rgb8", 1, 1, 3, [1, 2, 3])
        assert bridge.imgmsg_to_cv2(msg, "bgr8").tolist() == [[[3, 2, 1]]]

    def test_unknown_target(self, bridge):
        with pytest.raises(CvBridgeError, match="made_up"):
            bridge.imgmsg_to_cv2(message("rgb8", 1, 1, 3, [1, 2, 3]), "made_up")

    @pytest.mark.parametrize(("image", "encoding", "text"), [
        (np.zeros((2, 2, 3), np.uint8), "rgba8", "incompatible type 8UC3"),
        (np.zeros((2, 2), np.uint8), "mono16", "incompatible type 8UC1"),
        (np.zeros((2, 2), np.int64), "passthrough", "int64"), (np.zeros((2, 2), bool), "mono8", "bool"),
        (np.zeros(4, np.uint8), "mono8", "shape"), (np.zeros((1, 2, 3, 4), np.uint8), "passthrough", "shape")])
    def test_array_that_does_not_fit(self, bridge, image, encoding, text):
        with pytest.raises(CvBridgeError, match=text):
            bridge.cv2_to_imgmsg(image, encoding)

    def test_not_an_array(self, bridge):
        for call in (bridge.cv2_to_imgmsg, bridge.cv2_to_compressed_imgmsg):
            with pytest.raises(TypeError, match="numpy array, not list"):
                call([[1, 2]])


class TestCompressed:
    @pytest.mark.parametrize("dst_format", ["png", "bmp", "tiff", "tif", "webp", "jpg", "jpeg", "jpe"])
    def test_colour_keeps_its_order(self, bridge, dst_format):
        image = np.full((16, 16, 3), (10, 120, 240), np.uint8)
        msg = bridge.cv2_to_compressed_imgmsg(image, dst_format)
        assert msg.format == dst_format
        slack = 4 if dst_format in ("jpg", "jpeg", "jpe", "webp") else 0
        for target, expected in (("passthrough", image), ("bgr8", image), ("rgb8", image[:, :, ::-1])):
            decoded = bridge.compressed_imgmsg_to_cv2(msg, target)
            assert decoded.shape == image.shape
            assert np.abs(decoded.astype(int) - expected).max() <= slack

    def test_default_is_jpg(self, bridge):
        msg = bridge.cv2_to_compressed_imgmsg(np.zeros((8, 8, 3), np.uint8))
        assert msg.format == "jpg"
        assert bytes(msg.data[:3]) == b"\xff\xd8\xff"

    @pytest.mark.parametrize(("dtype", "encoding"), [(np.uint8, "mono8"), (np.uint16, "mono16"), (np.uint16, "16UC1")])
    def test_one_channel_is_taken_for_gray(self, bridge, dtype, encoding):
        depth = (np.arange(64).reshape(8, 8) * 3).astype(dtype)
        msg = bridge.cv2_to_compressed_imgmsg(depth, "png")
        np.testing.assert_array_equal(bridge.compressed_imgmsg_to_cv2(msg, encoding), depth)
        assert bridge.compressed_imgmsg_to_cv2(msg, "bgr8").shape == (8, 8, 3)

    def test_alpha(self, bridge):
        image = np.random.default_rng(1).integers(0, 256, (5, 5, 4)).astype(np.uint8)
        msg = bridge.cv2_to_compressed_imgmsg(image, "png")
        np.testing.assert_array_equal(bridge.compressed_imgmsg_to_cv2(msg, "rgba8"), image[:, :, [2, 1, 0, 3]])
        np.testing.assert_array_equal(bridge.compressed_imgmsg_to_cv2(msg, "bgr8"), image[:, :, :3])

    @pytest.mark.parametrize("data", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
    def test_broken_data(self, bridge, data):
        msg = sensor_msgs.CompressedImage(format="jpeg", data=data)
        with pytest.raises(CvBridgeError, match=f"cannot decode.*jpeg.*{len(data)} bytes"):
            bridge.compressed_imgmsg_to_cv2(msg)

    def test_unknown_format(self, bridge):
        with pytest.raises(CvBridgeError, match="made_up"):
            bridge.cv2_to_compressed_imgmsg(np.zeros((2, 2), np.uint8), "made_up")

    def test_conversion_without_sense(self, bridge):
        msg = bridge.cv2_to_compressed_imgmsg(np.zeros((2, 2, 3), np.uint8), "png")
        with pytest.raises(CvBridgeError, match="16UC1"):
            bridge.compressed_imgmsg_to_cv2(msg, "16UC1")


class TestDisplay:
    def test_labels_get_colours(self):
        shown = cv_bridge.cvtColorForDisplay(np.array([[7, 9, 118, 7 + 146, -1]], np.int32), "32SC1", "bgr8")
        # CSS colours by name in alphabetical order: 7 is black, 9 blue, 118 red; they repeat after 146.
        assert shown.tolist() == [[[0, 0, 0], [255, 0, 0], [0, 0, 255], [0, 0, 0], [0, 0, 0]]]

    def test_scaling_ignores_nan_and_infinity(self):
        depth = np.array([[50, 100, 150, -np.inf, np.inf, np.nan]], np.float32)
        shown = cv_bridge.cvtColorForDisplay(depth, "32FC1", "", do_dynamic_scaling=True)
        assert shown[0, :, 0].tolist() == [0, 128, 255, 0, 0, 0]
        assert shown.shape == (1, 6, 3)

    def test_given_range_and_colour_map(self):
        depth = np.array([[0.0, 1.0, 2.0, np.nan]], np.float32)
        gray = cv_bridge.cvtColorForDisplay(depth, "32FC1", "mono8", min_image_value=1.0, max_image_value=2.0)
        assert gray.tolist() == [[0, 0, 255, 0]]
        shown = cv_bridge.cvtColorForDisplay(depth, "32FC1", "bgr8", False, 0.0, 2.0, cv2.COLORMAP_JET)
        expected = cv2.applyColorMap(np.array([[0, 128, 255]], np.uint8), cv2.COLORMAP_JET)
        np.testing.assert_array_equal(shown[:, :3], expected)
        assert shown[0, 3].tolist() == [0, 0, 0]

    def test_constant_image_is_middle_gray(self):
        shown = cv_bridge.cvtColorForDisplay(np.full((2, 2), 3, np.uint16), "16UC1", "mono8", do_dynamic_scaling=True)
        assert shown.tolist() == [[128, 128], [128, 128]]

    @pytest.mark.parametrize(("encoding", "dtype", "shape"), [
        ("8UC1", np.uint8, (2, 2)), ("8UC3", np.uint8, (2, 2, 3)), ("8UC4", np.uint8, (2, 2, 4)),
        ("16UC1", np.uint16, (2, 2)), ("16UC3", np.uint16, (2, 2, 3)), ("bgr16", np.uint16, (2, 2, 3))])
    def test_bare_types_are_guessed(self, encoding, dtype, shape):
        white = np.full(shape, np.iinfo(dtype).max, dtype)
        np.testing.assert_array_equal(cv_bridge.cvtColorForDisplay(white, encoding, ""), np.full((2, 2, 3), 255))

    @pytest.mark.parametrize(("encoding_in", "encoding_out", "shape", "keywords"), [
        ("rgb8", "rgb16", (2, 2, 3), {}), ("rgb8", "8UC3", (2, 2, 3), {}),
        ("rgb8", "bgr8", (2, 2, 3), {"do_dynamic_scaling": True}), ("mono8", "bgr8", (2, 2, 3), {})])
    def test_refused(self, encoding_in, encoding_out, shape, keywords):
        with pytest.raises(RuntimeError):
            cv_bridge.cvtColorForDisplay(np.zeros(shape, np.uint8), encoding_in, encoding_out, **keywords)


def test_the_compiled_modules_names():
    boost = importlib.import_module("cv_bridge.boost.cv_bridge_boost")
    assert boost.CV_MAT_CNWrap(cv2.CV_16SC3) == 3
    assert boost.CV_MAT_DEPTHWrap(cv2.CV_16SC3) == cv2.CV_16S
    assert boost.cvtColor2(np.array([[[1, 2, 3]]], np.uint8), "rgb8", "bgr8").tolist() == [[[3, 2, 1]]]
    with pytest.raises(RuntimeError, match="is not .rgb8."):
        boost.cvtColor2(np.zeros((2, 2), np.uint8), "rgb8", "bgr8")
    assert issubclass(CvBridgeError, TypeError)
