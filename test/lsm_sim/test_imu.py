# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The IMU: integrated without noise it gives the path; noise and bias are as configured."""
import numpy as np
import pytest
from helpers.hand_made import furnished
from scipy.interpolate import CubicSpline

from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import so3_exp, so3_log
from lsm_sim.events import Event
from lsm_sim.imu import GRAVITY, ImuNoise, imu_along
from lsm_sim.paths import plan_path

MOUNT = make_se3(so3_exp([0.2, -0.4, 1.0]), [0.1, -0.2, 0.3])


@pytest.fixture(scope="module", params=["robot", "hand"])
def path(request):
    return plan_path(furnished(), request.param, length_m=8.0, seed=1)


class TestWithoutNoise:
    @pytest.mark.parametrize("T_base_imu", [None, MOUNT])
    def test_integrates_to_the_path(self, path, T_base_imu):
        T = path.T_world_base if T_base_imu is None else path.T_world_base @ T_base_imu
        readings, dt = imu_along(path, 400.0, T_base_imu=T_base_imu), 1 / 400
        R, x, v = T[0, :3, :3], T[0, :3, 3].copy(), CubicSpline(path.times, T[:, :3, 3])(0, 1)
        for k in range(len(readings.times) - 1):
            after = R @ so3_exp(0.5 * dt * (readings.angular_velocity[k] + readings.angular_velocity[k + 1]))
            a = 0.5 * (R @ readings.specific_force[k] + after @ readings.specific_force[k + 1]) + GRAVITY
            x, v, R = x + v * dt + 0.5 * a * dt * dt, v + a * dt, after
        assert readings.times[-1] == pytest.approx(path.duration_s, abs=dt)
        np.testing.assert_allclose(x, T[-1, :3, 3], atol=0.02)
        assert np.linalg.norm(so3_log(R.T @ T[-1, :3, :3])) < 2e-3

    def test_at_rest_it_feels_gravity_alone(self):
        readings = imu_along(plan_path(furnished(), events=[Event("pause", 5, 4)], length_m=8), 100)
        pause = readings.specific_force[620:800]
        assert (np.linalg.norm(readings.specific_force[:, :2], axis=1) > 0.1).any()
        np.testing.assert_allclose(np.median(pause, axis=0), [0, 0, 9.80665], atol=1e-3)

    def test_does_not_feel_a_kidnapping(self):
        path = plan_path(furnished(), length_m=10, events=[Event("kidnap", 6)])
        readings = imu_along(path, 200)
        assert np.abs(readings.specific_force[:, :2]).max() < 3 and np.abs(readings.angular_velocity).max() < 1.5


class TestNoise:
    def test_density_and_bias(self, path):
        clean = imu_along(path, 200)
        noise = ImuNoise(gyro_density=1e-3, accel_density=1e-2, gyro_bias=0.1, accel_bias=0.2)
        noisy = [imu_along(path, 200, noise, seed=s) for s in range(20)]
        rest = np.array([n.angular_velocity - n.gyro_bias - clean.angular_velocity for n in noisy])
        assert rest.std() == pytest.approx(1e-3 * np.sqrt(200), rel=0.03)
        rest = np.array([n.specific_force - n.accel_bias - clean.specific_force for n in noisy])
        assert rest.std() == pytest.approx(1e-2 * np.sqrt(200), rel=0.03)
        assert np.std([n.gyro_bias[0] for n in noisy]) == pytest.approx(0.1, rel=0.4)

    def test_same_seed_same_readings(self, path):
        a, b, c = (imu_along(path, 100, ImuNoise(), seed=s).specific_force for s in (1, 1, 2))
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)

    @pytest.mark.parametrize("rate_hz", [0, 1e5, True, float("nan")])
    def test_bad_rate(self, path, rate_hz):
        with pytest.raises(ValueError, match="rate_hz"):
            imu_along(path, rate_hz)
