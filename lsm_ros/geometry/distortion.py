# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Lens distortion on normalised image coordinates (x / z, y / z), with the conventions of OpenCV and of CameraInfo.

`plumb_bob` is (k1, k2, p1, p2[, k3]), `rational_polynomial` is (k1, k2, p1, p2, k3, k4, k5, k6), `equidistant` is the
fisheye model (k1, k2, k3, k4). All functions are vectorised; the equations are those of OpenCV's calib3d documentation.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial import Polynomial

__all__ = ['COEFFICIENT_COUNTS', 'distort', 'max_radius_squared', 'standard_model', 'undistort']

COEFFICIENT_COUNTS = {'': (0,), 'plumb_bob': (4, 5), 'rational_polynomial': (8,), 'equidistant': (4,)}

# Other names that drivers and calibration tools give to these models.
_OTHER_NAMES = {'fisheye': 'equidistant', 'kannala_brandt': 'equidistant', 'kannala_brandt4': 'equidistant',
                'radtan': 'plumb_bob', 'radial_tangential': 'plumb_bob', 'plumb_bob_rational': 'rational_polynomial',
                'rational': 'rational_polynomial'}
_ITERATIONS = 25
_TOLERANCE = 1e-12  # normalised units; 1e-9 px for a focal length of 1000 px
_MAX_THETA = 1.5706  # rays at 90 degrees and more do not meet the plane z = 1


def standard_model(model: str, D: tuple[float, ...]) -> tuple[str, tuple[float, ...]]:
    """A distortion model by its name in CameraInfo and with as many coefficients as it has.

    Zeros at the end that the model has no coefficients for are left out; where all are zero there is no distortion. A
    `plumb_bob` of 8 is what OpenCV calls rational. ValueError for NaN, an unknown model, and a number of coefficients that it
    does not have.
    """
    if any(not np.isfinite(d) for d in D):
        raise ValueError(f'distortion coefficients must be finite, got {D}')
    name = model.strip().lower().replace('-', '_').replace(' ', '_')
    name = _OTHER_NAMES.get(name, name)
    used = max((i + 1 for i, d in enumerate(D) if d), default=0)
    if not used and name != 'equidistant':  # no distortion under any name of the model
        return '', ()
    if name == 'plumb_bob' and 5 < used <= 8:
        name = 'rational_polynomial'
    counts = COEFFICIENT_COUNTS.get(name)
    if counts is None:
        raise ValueError(f'unknown distortion_model {model!r}, use one of {list(COEFFICIENT_COUNTS)}')
    if len(D) in counts:
        return name, tuple(D)
    if len(D) < min(counts):
        raise ValueError(f'distortion_model {model!r} has {" or ".join(map(str, counts))} coefficients, got {len(D)}: {D}')
    if used > max(counts):
        what = ' (thin prism or tilt)' if name == 'rational_polynomial' else ''
        raise ValueError(f'distortion_model {model!r} with {used} coefficients that are not zero{what}: the most that is '
                         f'known is {max(counts)}; calibrate with fewer, or use rectified images. D is {D}')
    count = min(c for c in counts if c >= used)
    return name, (*D[:used], *(0.0,) * (count - used))


def distort(model: str, D: tuple[float, ...], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distorted coordinates of the normalised coordinates x, y (...); same dtype and shape."""
    if model == '':
        return x, y
    if model == 'equidistant':
        scale = _fisheye_scale(D, np.sqrt(x * x + y * y))
        return x * scale, y * scale
    k1, k2, p1, p2, k3, k4, k5, k6 = _padded(D)
    u = x * x + y * y
    radial = 1 + u * (k1 + u * (k2 + u * k3))
    if k4 or k5 or k6:
        radial = radial / (1 + u * (k4 + u * (k5 + u * k6)))
    xy2 = 2 * x * y
    return x * radial + p1 * xy2 + p2 * (u + 2 * x * x), y * radial + p1 * (u + 2 * y * y) + p2 * xy2


def undistort(model: str, D: tuple[float, ...], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normalised coordinates whose distortion is x, y (...), float64; NaN where the lens has no such ray.

    Newton's method, on the angle for `equidistant` and on both coordinates for the others, until 1e-12.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if model == '':
        return x.copy(), y.copy()
    if model == 'equidistant':
        return _undistort_fisheye(D, x, y)
    out_x, out_y = _newton_polynomial(D, x.ravel(), y.ravel(), max_radius_squared(model, tuple(D)))
    return out_x.reshape(x.shape), out_y.reshape(y.shape)


@lru_cache(maxsize=64)
def max_radius_squared(model: str, D: tuple[float, ...]) -> float:
    """Squared normalised radius up to which the radial distortion grows, infinite when it always does.

    Beyond it the polynomial folds back, and points far outside of the view would land inside of the image.
    """
    if model == '':
        return np.inf
    if model == 'equidistant':
        theta = np.sqrt(_smallest_positive_root(_slope(Polynomial([1, *D]), Polynomial([1]))))
        return float(np.tan(min(theta, _MAX_THETA)) ** 2)
    k1, k2, _, _, k3, k4, k5, k6 = _padded(D)
    top, bottom = Polynomial([1, k1, k2, k3]), Polynomial([1, k4, k5, k6])
    return min(_smallest_positive_root(_slope(top, bottom)), _smallest_positive_root(bottom))


def _slope(top: Polynomial, bottom: Polynomial) -> Polynomial:
    # Numerator of d/dr of r top(u) / bottom(u), with u = r^2.
    u2 = Polynomial([0, 2])
    return (top + u2 * top.deriv()) * bottom - u2 * top * bottom.deriv()


def _smallest_positive_root(polynomial: Polynomial) -> float:
    roots = polynomial.trim().roots()
    real = roots.real[(np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots.real))) & (roots.real > 0)]
    return float(real.min()) if real.size else np.inf


def _padded(D: tuple[float, ...]) -> tuple[float, ...]:
    return (*D, *(0.0,) * (8 - len(D)))


def _newton_polynomial(D: tuple[float, ...], xd: np.ndarray, yd: np.ndarray,
                       limit: float) -> tuple[np.ndarray, np.ndarray]:
    k1, k2, p1, p2, k3, k4, k5, k6 = _padded(D)
    out_x, out_y = np.full(xd.shape, np.nan), np.full(yd.shape, np.nan)
    left = np.flatnonzero(np.isfinite(xd) & np.isfinite(yd))
    tx, ty = xd[left], yd[left]
    x, y = tx.copy(), ty.copy()
    with np.errstate(all='ignore'):  # a pixel without a ray runs away; it is dropped by the test for convergence
        for _ in range(_ITERATIONS):
            u = x * x + y * y
            top = 1 + u * (k1 + u * (k2 + u * k3))
            bottom = 1 + u * (k4 + u * (k5 + u * k6))
            radial = top / bottom
            slope = ((k1 + u * (2 * k2 + 3 * u * k3)) - radial * (k4 + u * (2 * k5 + 3 * u * k6))) / bottom
            ex = x * radial + 2 * p1 * x * y + p2 * (u + 2 * x * x) - tx
            ey = y * radial + p1 * (u + 2 * y * y) + 2 * p2 * x * y - ty
            done = np.maximum(np.abs(ex), np.abs(ey)) < _TOLERANCE
            if done.any():
                good = done & (u <= limit)
                out_x[left[good]], out_y[left[good]] = x[good], y[good]
                keep = ~done
                left, tx, ty, x, y, u, radial, slope, ex, ey = (
                    a[keep] for a in (left, tx, ty, x, y, u, radial, slope, ex, ey))
            if left.size == 0:
                break
            a = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
            b = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
            d = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
            det = a * d - b * b
            x, y = x - (d * ex - b * ey) / det, y - (a * ey - b * ex) / det
    return out_x, out_y


def _fisheye_scale(D: tuple[float, ...], r: np.ndarray) -> np.ndarray:
    theta = np.arctan(r)
    u = theta * theta
    distorted = theta * (1 + u * (D[0] + u * (D[1] + u * (D[2] + u * D[3]))))
    small = r < 1e-8
    return np.where(small, r.dtype.type(1), distorted / np.where(small, r.dtype.type(1), r))


def _undistort_fisheye(D: tuple[float, ...], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    target = np.hypot(x, y)
    theta_max = np.arctan(np.sqrt(max_radius_squared('equidistant', tuple(D))))
    theta = np.minimum(target, theta_max)
    with np.errstate(all='ignore'):
        for _ in range(_ITERATIONS):
            u = theta * theta
            error = theta * (1 + u * (D[0] + u * (D[1] + u * (D[2] + u * D[3])))) - target
            # A pixel beyond the lens's limit never converges; it must not keep the others iterating.
            open_ = (np.abs(error) >= _TOLERANCE) & ((theta < theta_max) | (error > 0))
            if not open_.any():
                break
            slope = 1 + u * (3 * D[0] + u * (5 * D[1] + u * (7 * D[2] + u * 9 * D[3])))
            theta = np.where(open_, np.clip(theta - error / slope, 0, theta_max), theta)
        scale = np.where(target < 1e-8, 1.0, np.tan(theta) / np.where(target < 1e-8, 1.0, target))
    scale = np.where(np.abs(error) < 1e-9, scale, np.nan)
    return x * scale, y * scale
