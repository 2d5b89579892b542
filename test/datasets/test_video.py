# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Videos, real ones and those whose container says odd things."""
import cv2
import numpy as np
import pytest

from lsm_ros.datasets import VideoSource, open_source
from lsm_ros.datasets.base import T_BODY_OPTICAL


@pytest.fixture
def film(tmp_path):
    """A video of 8 frames of 64 x 48 pixels, at 20 Hz, that grow more red."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (64, 48))
    for i in range(8):
        writer.write(np.full((48, 64, 3), (0, 0, 30 * i), np.uint8))
    writer.release()
    return path


class Capture:
    """What OpenCV says of a container. stamps: milliseconds of its frames; says: properties, by OpenCV's numbers."""

    def __init__(self, stamps, size=(64, 48), **says):
        self.stamps, self.at, self.released = stamps, -1, 0
        self.says = {cv2.CAP_PROP_FRAME_WIDTH: size[0], cv2.CAP_PROP_FRAME_HEIGHT: size[1],
                     cv2.CAP_PROP_FPS: says.get("fps", 10.0), cv2.CAP_PROP_FRAME_COUNT: says.get("count", len(stamps))}

    def isOpened(self):
        return True

    def get(self, what):
        return self.stamps[self.at] if what == cv2.CAP_PROP_POS_MSEC else self.says[what]

    def read(self):
        self.at += 1
        return (True, np.zeros((48, 64, 3), np.uint8)) if self.at < len(self.stamps) else (False, None)

    def grab(self):
        return self.read()[0]

    def release(self):
        self.released += 1


@pytest.fixture
def container(monkeypatch, tmp_path):
    """Makes a source of a file that OpenCV says these things of."""
    made = []

    def opened(stamps, **says):
        def capture(_):
            made.append(Capture(stamps, **says))
            return made[-1]

        monkeypatch.setattr("lsm_ros.datasets.video.cv2.VideoCapture", capture)
        (tmp_path / "film.mp4").write_bytes(b"x")
        return VideoSource(tmp_path / "film.mp4", **{k: v for k, v in says.items() if k == "camera_file"})

    yield opened
    assert made and all(c.released == 1 for c in made)


class TestVideo:
    def test_frames(self, film):
        source = open_source(film)
        sets = list(source)
        assert isinstance(source, VideoSource) and len(source) == len(sets) == 8 and source.warnings == []
        red = [int(fs.frames[0].image[20, 30, 0]) for fs in sets]
        assert np.abs(np.array(red) - 30 * np.arange(8)).max() < 8
        assert np.allclose(np.diff([fs.stamp_ns for fs in sets]), 50e6, rtol=0.02)
        assert [fs.stamp_ns for fs in source] == [fs.stamp_ns for fs in sets]
        np.testing.assert_array_equal(sets[0].T_rig_cam["camera"], T_BODY_OPTICAL)
        assert source.taken == ["camera camera: 8 frames of the video, 20 Hz; no calibration"]

    def test_cut_video(self, film):
        """The readable part is read and the rest is reported, or nothing can be read and the file is named."""
        film.write_bytes(film.read_bytes()[:int(film.stat().st_size * 0.6)])
        try:
            source = open_source(film)
        except ValueError as error:
            assert str(film) in str(error)
        else:
            n = len(list(source))
            assert 0 < n <= len(source) and (n == len(source) or source.warnings)

    def test_camera_of_another_size(self, film, tmp_path):
        (tmp_path / "c.yaml").write_text("{image_width: 8, image_height: 6, fx: 9, fy: 9, cx: 4, cy: 3}")
        with pytest.raises(ValueError, match="8x6"):
            open_source(film, camera_file=tmp_path / "c.yaml")

    def test_a_name_without_the_ending_of_a_video(self, film, tmp_path):
        film.rename(tmp_path / "film")
        assert isinstance(open_source(tmp_path / "film"), VideoSource)
        (tmp_path / "empty.mp4").touch()
        assert not VideoSource.recognizes(tmp_path / "empty.mp4") and not VideoSource.recognizes(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"absent\.mp4 does not exist"):
            VideoSource(tmp_path / "absent.mp4")

    def test_notes_on_its_camera_are_said(self, film, tmp_path):
        (tmp_path / "c.yaml").write_text("{image_width: 64, image_height: 48, camera_matrix: {rows: 3, cols: 3, data: "
                                         "[60, 0.4, 31.5, 0, 60, 23.5, 0, 0, 1]}, distortion_model: plumb_bob, "
                                         "distortion_coefficients: {data: [0, 0, 0, 0, 0]}}")
        source = open_source(film, camera_file=tmp_path / "c.yaml")
        assert any("skew" in w for w in source.warnings) and source.taken[0].endswith("; calibrated")
        assert next(iter(source)).frames[0].intrinsics.fx == 60


class TestContainers:
    @pytest.mark.parametrize("stamps, wanted, said", [
        ([0, 100, 200], [0, 100, 200], 0), ([0, 0, 0], [0, 100, 200], 2), ([0, 100, 50, 300], [0, 100, 200, 300], 1),
        ([0, 100, 100, 120], [0, 100, 200, 300], 2)])
    def test_stamps_that_do_not_grow_are_counted_on_and_said(self, container, stamps, wanted, said):
        source = container(stamps)
        assert [fs.stamp_ns for fs in source] == [round(ms * 1e6) for ms in wanted]
        assert source._log.count("stamps of the video do not grow; frames counted by its rate") == said
        assert len(source.warnings) == (said > 0)

    @pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
    def test_without_a_rate_that_of_its_camera_counts(self, container, fps, tmp_path):
        assert container([0, 1], fps=fps).rate_hz == 30.0
        (tmp_path / "c.yaml").write_text("{image_width: 64, image_height: 48, fx: 9, fy: 9, cx: 4, cy: 3, rate_hz: 12}")
        assert container([0, 1], fps=fps, camera_file=tmp_path / "c.yaml").rate_hz == 12.0
        assert container([0, 1], fps=25.0, camera_file=tmp_path / "c.yaml").rate_hz == 25.0

    @pytest.mark.parametrize("count", [0, -5, float("nan")])
    def test_without_a_number_of_frames_they_are_counted(self, container, count):
        assert len(container([0, 100, 200], count=count)) == 3

    @pytest.mark.parametrize("count, said", [(5, False), (7, False), (8, True), (500, True)])
    def test_a_video_that_ends_early_is_said(self, container, count, said):
        source = container([100.0 * k for k in range(5)], count=count)
        assert len(list(source)) == 5
        assert any(f"5 of {count} frames could be decoded" in w for w in source.warnings) is said

    def test_without_a_frame(self, container):
        with pytest.raises(ValueError, match="holds no frame"):
            container([])

    def test_the_size_is_bounded_before_anything_is_decoded(self, monkeypatch, tmp_path):
        capture = Capture([0, 100], size=(40_000, 10))
        monkeypatch.setattr("lsm_ros.datasets.video.cv2.VideoCapture", lambda _: capture)
        (tmp_path / "film.mp4").write_bytes(b"x")
        with pytest.raises(ValueError, match="claims 40000x10 pixels"):
            VideoSource(tmp_path / "film.mp4")
        assert capture.at == -1
