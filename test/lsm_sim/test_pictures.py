# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import subprocess
import sys
import time
import zlib

import cv2
import numpy as np
import pytest

from lsm_sim import pictures
from lsm_sim.pictures import NEUTRAL_MEAN, SIZE, library

REPEATED = ("plain", "blank", "noise", "wood", "planks", "parquet", "tiles", "brick", "concrete", "plaster", "fabric",
            "stripes", "checker", "wallpaper", "carpet", "leather", "metal", "marble", "leaves", "wicker", "cardboard",
            "pebbles", "ceiling_panels")
FITTED = ("painting", "photo", "poster", "books", "book_cover", "drawers", "doors", "door", "screen", "keyboard", "label",
          "newspaper", "window_view", "clock", "fridge", "oven", "washer", "stove", "microwave", "dishwasher", "radiator",
          "rug", "mirror_frame", "text_clutter", "face", "shelf_goods")
COLOURED = {"brick", "leaves"}
FAINT = {"blank", "plain"}


def of(family):
    lib = library()
    return [lib.pictures[lib.index(family, k)] for k in range(lib.variants(family))]


def corners(picture):
    """Corners that a tracker finds in a picture as it looks on a screen."""
    grey = (255 * (picture.mean(-1) / 255) ** (1 / 2.2)).astype(np.uint8)
    found = cv2.goodFeaturesToTrack(grey, 400, 0.01, 5, useHarrisDetector=False, blockSize=5)
    response = cv2.cornerMinEigenVal(grey, 5)
    return 0 if found is None else sum(response[int(y), int(x)] > 1.5e-4 for x, y in found[:, 0])


def test_families_are_there_and_no_others():
    lib = library()
    assert set(lib.families) == set(REPEATED) | set(FITTED)
    assert all(lib.fitted(f) for f in FITTED) and not any(lib.fitted(f) for f in REPEATED)
    assert all(lib.variants(f) >= 6 for f in lib.families if f != "blank")
    assert all(lib.variants(f) >= 16 for f in ("wood", "fabric", "wallpaper", "painting", "poster", "books"))
    assert lib.pictures.shape == (len(lib), SIZE, SIZE, 3) and lib.pictures.dtype == np.uint8
    assert library() is lib and not lib.pictures.flags.writeable


def test_index_counts_through_the_families():
    lib = library()
    rows = [lib.index(f, k) for f in lib.families for k in range(lib.variants(f))]
    assert rows == list(range(len(lib)))
    assert lib.index("wood", 3 + 5 * lib.variants("wood")) == lib.index("wood", 3)


@pytest.mark.parametrize("ask", ["index", "fitted", "variants"])
def test_unknown_family(ask):
    with pytest.raises(ValueError, match="'granite'.*wood"):
        getattr(library(), ask)("granite")


@pytest.mark.parametrize("family", [f for f in REPEATED if f not in COLOURED])
def test_neutral_pictures_can_be_tinted(family):
    for k, picture in enumerate(of(family)):
        mean = picture.reshape(-1, 3).mean(0) / 255
        assert abs(mean.mean() - NEUTRAL_MEAN) < 0.03, (k, mean)
        assert np.ptp(mean) < 0.2, (k, mean)


@pytest.mark.parametrize("family", REPEATED)
def test_repeated_pictures_have_no_seam(family):
    """The step across the border is like the largest steps inside (joints of tiles and boards lie on the border too)."""
    for k, picture in enumerate(of(family)):
        for image in (picture.astype(float), picture.transpose(1, 0, 2).astype(float)):
            inside = np.abs(np.diff(image, axis=0)).mean((1, 2))
            seam = np.abs(image[0] - image[-1]).mean()
            assert seam <= 1.25 * np.sort(inside)[-2] + 1.0, (k, seam, inside.max())


@pytest.mark.parametrize("family", sorted({*REPEATED, *FITTED} - FAINT))
def test_there_is_something_to_hold_on_to(family):
    found = [corners(p) for p in of(family)]
    assert np.median(found) >= 20, found


def test_blank_is_even():
    assert all(np.ptp(p) == 0 and corners(p) == 0 for p in of("blank"))


def test_variants_differ():
    lib = library()
    for family in set(lib.families) - {"blank"}:
        small = np.stack([cv2.resize(p, (32, 32), interpolation=cv2.INTER_AREA) for p in of(family)]).astype(float)
        if family in FAINT:
            small = np.stack(of(family)).astype(float)
        for a in range(len(small)):
            for b in range(a):
                assert np.abs(small[a] - small[b]).mean() > 0.5, (family, a, b)


def test_mips_halve_by_means():
    lib = library()
    levels = lib.mips()
    assert [m.shape[1] for m in levels] == [256, 128, 64, 32, 16, 8, 4, 2, 1]
    assert levels[0] is lib.pictures and sum(m.nbytes for m in levels) < 100e6
    some = lib.pictures[::17]
    four = some.astype(np.float32).reshape(len(some), 128, 2, 128, 2, 3).mean((2, 4))
    assert np.abs(levels[1][::17] - four).max() <= 0.51
    assert np.abs(levels[-1][::17, 0, 0] - some.mean((1, 2))).max() < 3
    assert lib.mips()[3] is levels[3]


@pytest.mark.slow
def test_same_in_every_process():
    code = "import zlib; from lsm_sim.pictures import library; print(zlib.crc32(library().pictures.tobytes()))"
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert int(there) == zlib.crc32(library().pictures.tobytes())


@pytest.mark.slow
def test_made_in_a_few_seconds_of_one_core():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        start = time.process_time()
        pictures.PictureLibrary(pictures._MAKERS)
        assert time.process_time() - start < 8  # under 3 on a free core
    finally:
        cv2.setNumThreads(threads)
