# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Decoding of image messages: known values of every encoding, and contradictions that must be refused."""
import array
import struct

import cv2
import numpy as np
import pytest

from lsm_ros.images import codecs

RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)


def decode(encoding, pixels, big=False, pad=0, **changes):
    """Through decode_image, from an array (H, W[, C]) with `pad` bytes behind each row."""
    height, width = pixels.shape[:2]
    raw = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    rows = np.frombuffer(raw, np.uint8).reshape(height, -1)
    rows = np.hstack([rows, np.full((height, pad), 77, np.uint8)])
    values = {"width": width, "height": height, "step": rows.shape[1], "data": rows.tobytes(), **changes}
    return codecs.decode_image(encoding, is_bigendian=big, **values)


def with_alpha(rgb):
    return np.dstack([rgb, np.full(rgb.shape[:2], 9, rgb.dtype)])


class TestDecodeImage:
    @pytest.mark.parametrize("pad", [0, 5])
    @pytest.mark.parametrize("encoding, pixels", [
        ("rgb8", RGB), ("bgr8", RGB[..., ::-1]), ("8UC3", RGB[..., ::-1]), ("rgba8", with_alpha(RGB)),
        ("bgra8", with_alpha(RGB[..., ::-1])), ("8UC4", with_alpha(RGB[..., ::-1])),
        ("rgb16", RGB.astype(np.uint16) * 257), ("bgr16", RGB[..., ::-1].astype(np.uint16) * 257),
        ("rgba16", with_alpha(RGB.astype(np.uint16) * 257)),
    ])
    def test_colours(self, encoding, pixels, pad):
        np.testing.assert_array_equal(decode(encoding, pixels, pad=pad), RGB)

    @pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
    def test_grey(self, encoding):
        np.testing.assert_array_equal(decode(encoding, RGB[..., 0]), np.repeat(RGB[..., :1], 3, -1))

    @pytest.mark.parametrize("big", [False, True])
    def test_sixteen_bits_in_both_byte_orders(self, big):
        wide = RGB[..., 0].astype(np.uint16) * 257
        wide[0, 0] = 256  # 1 after rounding, 0 if only the wrong byte is looked at
        out = decode("mono16", wide, big=big)
        assert out[0, 0, 0] == 1
        np.testing.assert_array_equal(out[1:, :, 0], RGB[1:, :, 0])

    @pytest.mark.parametrize("bits", [8, 16])
    @pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
    def test_bayer(self, pattern, bits):
        colour = {"r": 200, "g": 120, "b": 40}
        mosaic = np.tile(np.array([[colour[c] for c in pattern[:2]], [colour[c] for c in pattern[2:]]]), (6, 6))
        pixels = (mosaic * (257 if bits == 16 else 1)).astype(f"u{bits // 8}")
        out = decode(f"bayer_{pattern}{bits}", pixels)
        np.testing.assert_array_equal(out[3:-3, 3:-3], np.broadcast_to([200, 120, 40], (6, 6, 3)))

    @pytest.mark.parametrize("encoding, order", [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuyv", "yuyv"),
                                                 ("yuv422_yuy2", "yuyv")])
    def test_yuv422(self, encoding, order):
        values = {"y": 81, "u": 90, "v": 240}  # pure red in BT.601
        pair = np.array([values[c] for c in order], np.uint8)
        out = decode(encoding, np.tile(pair.reshape(1, 2, 2), (4, 3, 1)))
        assert np.abs(out.astype(int) - [255, 0, 0]).max() <= 3

    @pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24"])
    @pytest.mark.parametrize("pad", [0, 4])
    def test_semi_planar(self, encoding, pad):
        height, width = 4, 6
        step = width + pad
        chroma = (240, 90) if encoding == "nv21" else (90, 240)  # NV21 stores V first
        shape = (height, 2 * step) if encoding == "nv24" else (height // 2, step)
        planes = np.concatenate([np.full(height * step, 81, np.uint8),
                                 np.tile(np.array(chroma, np.uint8), shape[0] * shape[1] // 2)])
        for data in (planes.tobytes(), planes[:len(planes) - pad].tobytes()):  # the last row may have no padding
            out = codecs.decode_image(encoding, width, height, step, data)
            assert out.shape == (height, width, 3)
            assert np.abs(out.astype(int) - [255, 0, 0]).max() <= 3

    @pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda b: array.array("B", b),
                                      lambda b: np.frombuffer(b, np.uint8)])
    def test_any_buffer_and_a_copy(self, wrap):
        data = wrap(RGB.tobytes())
        out = codecs.decode_image("rgb8", 8, 6, 24, data)
        np.testing.assert_array_equal(out, RGB)
        assert out.flags.writeable and not np.shares_memory(out, np.frombuffer(data, np.uint8))

    @pytest.mark.parametrize(("width", "height"), [(1, 2), (2, 1)])
    def test_one_row_or_column(self, width, height):
        out = codecs.decode_image("bgr8", width, height, 3 * width, b"\x01\x02\x03\x04\x05\x06")
        assert out.reshape(2, 3).tolist() == [[3, 2, 1], [6, 5, 4]]

    def test_last_row_without_padding(self):
        np.testing.assert_array_equal(codecs.decode_image("rgb8", 8, 6, 30, _padded(RGB, 6)[:-6]), RGB)

    @pytest.mark.parametrize("changes, named", [
        ({"step": 23}, "a row needs 24 bytes"), ({"data": b"\0" * 143}, "expected 144 bytes of data, got 143"),
        ({"data": b"\0" * 145}, "got 145"), ({"data": b""}, "got 0"), ({"step": 0}, "step 0"),
        ({"width": 0}, "no pixels"), ({"height": 0}, "no pixels"), ({"width": -3}, "no pixels"),
        ({"width": 2**31, "step": 2**33}, "2147483648x6 pixels"), ({"height": 7}, "expected 168"),
        ({"step": 32}, "expected 192"),
    ])
    def test_contradictions(self, changes, named):
        with pytest.raises(ValueError, match=named) as error:
            decode("rgb8", RGB, **changes)
        assert "rgb8" in str(error.value)

    @pytest.mark.parametrize("encoding, named", [("rgb9", "rgb9"), ("", "''"), ("32FC1", "depth"), ("16UC1", "depth"),
                                                 ("bayer_rgbg8", "bayer_rgbg8"), ("jpeg", "republish")])
    def test_unknown_encodings(self, encoding, named):
        with pytest.raises(ValueError, match=named):
            decode(encoding, RGB)

    def test_lying_encoding(self):
        with pytest.raises(ValueError, match="rgba8"):
            decode("rgba8", RGB)
        with pytest.raises(ValueError, match="mono8"):
            codecs.decode_image("mono8", 8, 6, 8, RGB.tobytes())

    @pytest.mark.parametrize("encoding, width, height", [("bayer_rggb8", 1, 1), ("bayer_rggb8", 3, 4), ("yuyv", 3, 2),
                                                         ("nv12", 4, 3), ("nv21", 3, 4)])
    def test_shapes_that_a_pattern_cannot_have(self, encoding, width, height):
        step = width * (2 if encoding == "yuyv" else 1)
        rows = height * 3 // 2 if encoding.startswith("nv") else height
        with pytest.raises(ValueError, match=encoding):
            codecs.decode_image(encoding, width, height, step, bytes(step * rows))


def _padded(pixels, pad):
    height = len(pixels)
    return np.hstack([pixels.reshape(height, -1), np.zeros((height, pad), np.uint8)]).tobytes()


class TestDecodeDepth:
    @pytest.mark.parametrize("big", [False, True])
    @pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
    def test_millimetres(self, encoding, big):
        mm = np.array([[0, 1, 1000], [65535, 258, 2]], np.uint16)
        data = mm.astype(">u2" if big else "<u2").tobytes()
        out = codecs.decode_depth(encoding, 3, 2, 6, data, big)
        assert out.dtype == np.float32
        np.testing.assert_allclose(out, mm * 0.001, rtol=1e-6)

    @pytest.mark.parametrize("big", [False, True])
    def test_metres(self, big):
        z = np.array([[np.nan, np.inf, -np.inf], [-1, 0, 2.5]], np.float32)
        out = codecs.decode_depth("32FC1", 3, 2, 12, z.astype(">f4" if big else "<f4").tobytes(), big)
        np.testing.assert_array_equal(out, np.array([[0, 0, 0], [0, 0, 2.5]], np.float32))

    @pytest.mark.parametrize("encoding", ["rgb8", "64FC1", "8UC1"])
    def test_refuses(self, encoding):
        with pytest.raises(ValueError, match=encoding):
            codecs.decode_depth(encoding, 3, 2, 24, bytes(48))

    def test_size(self):
        with pytest.raises(ValueError, match="expected 24 bytes of data, got 12"):
            codecs.decode_depth("32FC1", 3, 2, 12, bytes(12))


class TestDecodeLabels:
    def test_bytes(self):
        out = codecs.decode_labels("mono8", 3, 1, 3, bytes([0, 7, 255]))
        assert out.dtype == np.uint16 and out.tolist() == [[0, 7, 65535]]

    def test_words(self):
        data = np.array([[0, 255, 300, 65535]], "<u2").tobytes()
        assert codecs.decode_labels("16UC1", 4, 1, 8, data).tolist() == [[0, 255, 300, 65535]]

    def test_ints(self):
        data = np.array([[-1, 5, 70000]], "<i4").tobytes()
        assert codecs.decode_labels("32SC1", 3, 1, 12, data).tolist() == [[65535, 5, 65535]]

    def test_signed_words(self):
        assert codecs.label_ids(np.array([[-2, 3]], np.int16)).tolist() == [[65535, 3]]

    def test_refuses(self):
        with pytest.raises(ValueError, match="32FC1"):
            codecs.decode_labels("32FC1", 3, 1, 12, bytes(12))


def smooth_image():
    v, u = np.mgrid[0:48, 0:64]
    return np.stack([u * 3, v * 4, 255 - u * 3], -1).astype(np.uint8)


class TestDecodeCompressed:
    @pytest.mark.parametrize("format", ["jpeg", "", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8"])
    def test_jpeg(self, format):
        image = smooth_image()
        out = codecs.decode_compressed(codecs.encode_jpeg(image, 95), format)
        assert out.shape == image.shape and np.abs(out.astype(int) - image).mean() < 2

    def test_png_is_exact(self):
        np.testing.assert_array_equal(codecs.decode_compressed(codecs.encode_png(RGB), "png"), RGB)

    def test_stored_as_rgb(self):
        swapped = codecs.encode_png(RGB[..., ::-1])
        np.testing.assert_array_equal(codecs.decode_compressed(swapped, "rgb8; png compressed rgb8"), RGB)

    def test_grey_and_alpha_and_16_bits(self):
        grey = codecs.encode_png(RGB[..., 0])
        np.testing.assert_array_equal(codecs.decode_compressed(grey, "png")[..., 2], RGB[..., 0])
        rgba = cv2.imencode(".png", with_alpha(RGB[..., ::-1]))[1].tobytes()
        np.testing.assert_array_equal(codecs.decode_compressed(rgba, "png"), RGB)
        wide = codecs.encode_png(RGB[..., 0].astype(np.uint16) * 257)
        out = codecs.decode_compressed(wide, "mono16; png compressed mono16")
        np.testing.assert_array_equal(out[..., 0], RGB[..., 0])

    def test_bayer_png(self):
        mosaic = np.tile(np.array([[200, 120], [120, 40]], np.uint8), (6, 6))
        out = codecs.decode_compressed(codecs.encode_png(mosaic), "bayer_rggb8; png compressed bayer_rggb8")
        assert out[5, 5].tolist() == [200, 120, 40]

    @pytest.mark.parametrize("data, format, named", [
        (b"", "jpeg", "empty"), (b"hello", "jpeg", "no image"),
        (codecs.encode_jpeg(smooth_image())[:-200], "jpeg", "cut"),
        (codecs.encode_png(RGB)[:-30], "png", "cut"), (b"\0\0\0\1x", "h264", "h264"),
    ])
    def test_refuses(self, data, format, named):
        with pytest.raises(ValueError, match=named):
            codecs.decode_compressed(data, format)

    def test_quality(self):
        with pytest.raises(ValueError, match="quality"):
            codecs.encode_jpeg(RGB, 0)


class TestDecodeCompressedDepth:
    MM = np.array([[0, 500, 1234], [65535, 2000, 10]], np.uint16)

    def test_plain_png(self):
        out = codecs.decode_compressed_depth(codecs.encode_png(self.MM), "16UC1; png compressed")
        np.testing.assert_allclose(out, self.MM * 0.001, rtol=1e-6)

    def test_header(self):
        blob = struct.pack("<iff", 0, 0.0, 0.0) + codecs.encode_png(self.MM)
        np.testing.assert_allclose(codecs.decode_compressed_depth(blob, "16UC1; compressedDepth png"), self.MM * 0.001,
                                   rtol=1e-6)

    def test_quantised_floats(self):
        z = np.array([[0.5, 1.0, 2.0, 5.0]])
        a, b = 10100.0, -9.0  # q = a / z + b
        q = np.rint(a / z + b).astype(np.uint16)
        q = np.hstack([q, [[0]]]).astype(np.uint16)
        blob = struct.pack("<iff", 0, a, b) + codecs.encode_png(q)
        out = codecs.decode_compressed_depth(blob, "32FC1; compressedDepth png")
        np.testing.assert_allclose(out[0, :4], z[0], rtol=1e-3)
        assert out[0, 4] == 0

    @pytest.mark.parametrize("data, format, named", [
        (b"\0" * 40, "16UC1; compressedDepth rvl", "png"), (b"\0" * 40, "16UC1; compressedDepth", "holds no PNG"),
        (b"", "16UC1", "holds no PNG"), (codecs.encode_png(RGB), "16UC1; png", "one channel of 16 bits"),
    ])
    def test_refuses(self, data, format, named):
        with pytest.raises(ValueError, match=named):
            codecs.decode_compressed_depth(data, format)


def test_compressed_labels():
    ids = np.array([[0, 4, 255]], np.uint8)
    assert codecs.decode_compressed_labels(codecs.encode_png(ids), "png").tolist() == [[0, 4, 65535]]
    with pytest.raises(ValueError, match="PNG only"):
        codecs.decode_compressed_labels(codecs.encode_jpeg(RGB), "jpeg")
