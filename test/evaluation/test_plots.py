# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import xml.etree.ElementTree as ElementTree

import numpy as np

from lsm_ros.evaluation.plots import Line, plot, thin


def points(svg):
    root = ElementTree.fromstring(svg)
    return [np.array([[float(v) for v in p.split(",")] for p in line.get("points").split()])
            for line in root.iter("polyline")]


def test_equal_axes_keep_angles():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0.0]])
    (drawn,) = points(plot([Line(square[:, 0], square[:, 1], "est")], "t", "x", "y", 400, 300, equal=True))
    sides = np.linalg.norm(np.diff(drawn, axis=0), axis=1)
    assert np.ptp(sides) < 0.2 and sides[0] > 50
    assert drawn[0, 1] > drawn[2, 1]  # y points up


def test_nan_breaks_a_line():
    x = np.array([0, 1, np.nan, 2, 3.0])
    assert [len(p) for p in points(plot([Line(x, x, "est")], "t", "x", "y", 400, 300))] == [2, 2]


def test_text_is_escaped_and_odd_values_are_drawn():
    svg = plot([Line(np.zeros(1), np.full(1, 5.0), "kf", dots=True)], '<b>&"', "<x>", "y", 400, 300)
    assert "<b>" not in svg and "&lt;b&gt;&amp;" in svg
    assert ElementTree.fromstring(svg).tag == "svg"
    assert ElementTree.fromstring(plot([], "empty", "x", "y", 400, 300)).tag == "svg"


def test_thin_keeps_peaks():
    values = np.zeros(10000)
    values[[1234, 8888]] = 5, 7
    index, kept = thin(values, 100)
    assert len(index) == 100 and kept.max() == 7 and {1234, 8888} <= set(index.tolist())
    assert thin(values[:10], 100)[1].size == 10
