# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Up by accelerometer and gyro, along simulated paths with the noise and the biases of a cheap device."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.inertial import changed, path_of, readings, up_in_imu

from lsm_ros.slam.imu import ImuFilter
from lsm_ros.types import ImuSample
from lsm_sim.imu import ImuNoise


def fed(samples, until_s=np.inf):
    """A filter that took the samples up to a time."""
    out = ImuFilter()
    out.add(s for s in samples if s.stamp_ns <= until_s * 1e9)
    return out


def angle(a, b):
    return float(np.arccos(np.clip(a @ b, -1, 1)))


def still(seconds=3.0, rate=(0.0, 0.0, 0.0), force=(0.0, 0.0, 9.80665), start_s=0.0, hz=200):
    return [ImuSample(round((start_s + k / hz) * 1e9), np.array(rate), np.array(force)) for k in range(round(seconds * hz))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["robot", "hand"])
def test_the_deviation_covers_the_error(kind):
    """Normalised errors about both axes across, of 50 runs on 5 paths, at the end of 15 s: chi-square of 100 degrees of
    freedom, 99.5 % quantile 140. It may be too careful, for robots that drive as smoothly as these, but not by more than a
    factor of 3 in the deviation."""
    total = 0.0
    for seed in range(50):
        path = path_of(kind, 8.0, seed % 5)
        up = fed(readings(path, seed), 15.0).up_at(15_000_000_000)
        total += (angle(up.direction, up_in_imu(path, np.array([15.0]))[0]) / up.std) ** 2
    assert 100 / 3**2 < total < 140


@pytest.mark.parametrize(("kind", "seed"), [("robot", 2), ("hand", 1)])
def test_up_within_a_degree_after_a_while(kind, seed):
    path = path_of(kind, 8.0, seed)
    found, samples, errors, k = ImuFilter(), readings(path, seed), [], 0
    for t in np.arange(10.0, path.duration_s, 0.5):
        n = int(t * 200) + 1
        found.add(samples[k:n])
        k = n
        errors.append(angle(found.up_at(round(t * 1e9)).direction, up_in_imu(path, np.array([t]))[0]))
    assert np.degrees(np.median(errors)) < 1.0 and np.degrees(max(errors)) < 2.5


def test_a_sensor_that_stands_knows_up_at_once_and_its_bias():
    rng = np.random.default_rng(0)
    bias = np.array([0.02, -0.01, 0.015])
    samples = changed(still(4.0), lambda w: w + bias + 0.003 * rng.standard_normal(3),
                      lambda f: f + 0.03 * rng.standard_normal(3))
    found = fed(samples)
    up = found.up_at(samples[-1].stamp_ns)
    assert angle(up.direction, np.array([0, 0, 1.0])) < 0.002 and 0.005 < up.std < 0.007  # no better than accelerometers are
    np.testing.assert_allclose(found.gyro_bias, bias, atol=0.001)


def test_an_even_acceleration_is_not_standing():
    """It would be taken for a tilt of 1.7 degrees for certain."""
    found = fed(still(3.0) + still(1.0, force=(0.3, 0.0, 9.80665), start_s=3.0))
    up = found.up_at(3_995_000_000)
    assert angle(up.direction, np.array([0, 0, 1.0])) < 0.01


def test_between_and_after_readings_the_gyro_carries_on():
    turning = still(3.0, rate=(0.0, 0.0, 0.0)) + still(0.5, rate=(1.0, 0, 0), start_s=3.0)
    found = fed(turning)
    up = found.up_at(3_545_000_000)  # 50 ms after the last reading
    assert np.arctan2(up.direction[1], up.direction[2]) == pytest.approx(0.55, abs=0.03)
    np.testing.assert_allclose(up.turned, [0.55, 0, 0], atol=0.006)
    assert up.seconds == pytest.approx(3.5, abs=0.01)


def test_the_sum_of_forces_turns_with_the_sensor():
    """A quarter of a turn: what was felt along y is along z afterwards, and what was asked for is not said twice."""
    found = fed(still(2.0, rate=(0, 0, 0)) + still(1.0, rate=(-np.pi / 2, 0, 0), force=(0, 0, 0), start_s=2.0))
    up = found.up_at(2_995_000_000)
    assert abs(up.impulse[1]) == pytest.approx(2 * 9.80665, rel=0.02) and abs(up.impulse[2]) < 0.6
    assert found.up_at(2_995_000_000).seconds == 0
    assert found.up_at(3_700_000_000) is None and found.up_at(1_000_000_000) is None


def test_nothing_is_known_before_enough_readings_came():
    assert ImuFilter().up_at(0) is None
    assert fed(still(0.1)).up_at(95_000_000) is None
    assert fed(still(0.4)).up_at(395_000_000) is not None


class TestBadReadings:
    path = path_of("robot", 8.0, 1)

    def reason(self, samples):
        found = fed(samples, 8.0)
        assert found.up_at(8_000_000_000) is None
        return found.reason

    @pytest.mark.parametrize(("force", "text"), [
        (lambda f: f / 9.80665, "it is in g"),
        (lambda f: f / 9.80665 * 1000, "thousandths of g"),
        (lambda f: f * 0, "its driver takes gravity out, or it does not measure"),
        (lambda f: f * 2, "its scale is wrong")])
    def test_units_of_the_accelerometer(self, force, text):
        assert text in self.reason(changed(readings(self.path), force=force))

    def test_acceleration_without_gravity(self):
        samples = readings(self.path)
        ups = up_in_imu(self.path, np.array([s.stamp_ns * 1e-9 for s in samples]))
        samples = [replace(s, specific_force=s.specific_force - 9.80665 * up) for s, up in zip(samples, ups, strict=True)]
        assert "its driver takes gravity out" in self.reason(samples)

    def test_acceleration_without_gravity_that_is_as_large_as_one_g(self):
        """Its size varies, which gravity in units of g does not."""
        rng = np.random.default_rng(0)
        samples = changed(still(4.0), force=lambda f: f * 0)
        for k, s in enumerate(samples):
            force = np.array([0, 0, 1.0 + 0.8 * np.sin(0.02 * k)])
            samples[k] = replace(s, specific_force=force + 0.01 * rng.standard_normal(3))
        assert "takes gravity out" in fed(samples).reason

    def test_degrees_a_second_where_it_turns_fast(self):
        rate = self.reason(changed(readings(self.path), lambda w: np.degrees(w) + [0, 0, 40.0]))
        assert "degrees a second?" in rate

    def test_stamps_that_go_back(self):
        samples = readings(self.path)
        for k in range(0, len(samples) - 10, 20):
            samples[k], samples[k + 3] = samples[k + 3], samples[k]
        assert "their stamps go back" in self.reason(samples)

    def test_values_that_are_not_finite(self):
        samples = readings(self.path)
        samples[::20] = changed(samples[::20], force=lambda f: f * np.nan)
        assert "they are not finite" in self.reason(samples)

    def test_a_few_of_them_are_left_out(self):
        samples = readings(self.path)
        good = fed(samples, 8.0).up_at(8_000_000_000).direction
        samples[::200] = changed(samples[::200], force=lambda f: f * np.nan)
        samples[305], samples[307] = samples[307], samples[305]
        samples[900:901] = [samples[900]] * 400  # repeated is no fault
        found = fed(samples, 5.5)
        assert found.reason == ""
        found = fed(samples, 8.0)
        assert found.reason == "" and angle(found.up_at(8_000_000_000).direction, good) < 0.003

    def test_it_is_used_again_when_it_is_right_again(self):
        wrong = changed(still(6.0), force=lambda f: f / 9.80665)
        found = fed(wrong)
        assert found.reason
        found.add(still(6.0, start_s=6.0))
        assert found.reason == "" and found.up_at(11_995_000_000) is not None

    def test_a_clock_that_starts_again(self):
        found = fed(still(5.0, start_s=100.0))
        found.add(still(5.0, force=(0.0, 9.80665, 0.0)))
        np.testing.assert_allclose(found.up_at(4_995_000_000).direction, [0, 1, 0], atol=1e-3)
        assert found.reason == ""


def test_a_gap_makes_it_less_sure():
    before, after = still(5.0), still(0.02, start_s=5.4)
    found = fed(before)
    sure = found.up_at(4_995_000_000).std
    found.add(after)
    assert found.up_at(5_415_000_000).std > 3 * sure


def test_a_long_gap_is_a_new_start():
    found = fed(still(5.0))
    found.add(still(0.1, force=(9.80665, 0.0, 0.0), start_s=7.0))
    assert found.up_at(7_095_000_000) is None
    found.add(still(1.0, force=(9.80665, 0.0, 0.0), start_s=7.1))
    np.testing.assert_allclose(found.up_at(8_095_000_000).direction, [1, 0, 0], atol=1e-3)


def test_without_noise_it_errs_by_motion_alone():
    path = path_of("robot", 8.0, 2)
    still_noise = ImuNoise(0, 0, 0, 0, 0, 0)
    up = fed(readings(path, 0, still_noise), 12.0).up_at(12_000_000_000)
    assert np.degrees(angle(up.direction, up_in_imu(path, np.array([12.0]))[0])) < 1.0
