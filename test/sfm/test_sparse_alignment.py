# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
import torch
from helpers.golden_cases import relative_error

from lsm_ros.sfm.canonical import BLOCK, CanonicalSum
from lsm_ros.sfm.dense import clean, dense_depth, lifted
from lsm_ros.sfm.kinematic_tree import make_tree
from lsm_ros.sfm.sparse_alignment import ImageMatches, SparseAlignment, outline_of

TOLERANCE = 1e-3
VARIANTS = {"hclust": (5.0, False, "hclust-ward"), "mst": (5.0, False, "mst"), "shared": (5.0, True, "hclust-ward"),
            "thr0": (0.0, False, "hclust-ward")}
PAIRS = [(i, j) for i in range(4) for j in range(4) if i != j]


@pytest.fixture(scope="module")
def case(golden):
    return golden("sparse_ga")


@pytest.fixture(scope="module")
def canonical(case):
    found = []
    for i in range(4):
        total = CanonicalSum(64, 96)
        for j in range(4):
            if j != i:
                total.add(j, case.inp[f"own/{i}_with_{j}/pts3d"], case.inp[f"other/{i}_in_{j}/conf"])
        found.append(total.result())
    return found


def scores_of(case):
    scores = np.zeros((4, 4))
    for i, j in PAIRS:
        scores[i, j] = len(case.out[f"corres/{i}_{j}/conf"])
    return scores


def alignment_of(case, canonical, threshold=5.0, shared=False, kind="hclust-ward", intrinsics=None):
    matches, fallback = [], {}
    for i, j in PAIRS:
        fallback[i, j] = tuple(case.inp[f"other/{i}_in_{j}/{k}"][::BLOCK, ::BLOCK] for k in ("pts3d", "conf"))
        if i < j:
            p, q = (case.out[f"corres/{i}_{j}/{k}"].long() for k in ("pix1", "pix2"))
            matches.append(ImageMatches(i, j, p, q, canonical[i].ratio[p[:, 1], p[:, 0]], canonical[j].ratio[q[:, 1], q[:, 0]],
                                        case.out[f"corres/{i}_{j}/conf"]))
    tree = make_tree(scores_of(case), np.full(4, 96), kind)
    return SparseAlignment([outline_of(c) for c in canonical], matches, tree, fallback=fallback, threshold=threshold,
                           shared=shared, intrinsics=intrinsics, weights=[float(c.confidence.mean()) for c in canonical])


def test_golden_canonical_pointmaps(case, canonical):
    for i, found in enumerate(canonical):
        for got, name in ((found.points, "canon/{}/pts"), (found.ratio, "canon/{}/canon2"), (found.confidence, "canon/{}/conf"),
                          (torch.tensor([found.focal]), "canon/{}/focal"), (found.core_depth, "cond/{}/core_depth")):
            assert relative_error(got, case.out[name.format(i)]) < 1e-5, name


@pytest.mark.parametrize("name", VARIANTS)
def test_golden_alignment(case, canonical, name):
    threshold, shared, kind = VARIANTS[name]
    alignment = alignment_of(case, canonical, threshold, shared, kind)
    assert alignment.tree.root == int(case.out[f"{name}/mst_root"])
    assert np.array_equal(alignment.tree.edges, case.out[f"{name}/mst_edges"])
    for stage, expected in zip(("coarse", "fine"), case.out[f"{name}/losses"].tolist(), strict=True):
        loss, cameras = alignment.optimise(stage, 100)
        assert loss == pytest.approx(expected, rel=TOLERANCE)
        wanted = case.out[f"{name}/{stage}/cam2w"].double().numpy()
        got, wanted = (torch.from_numpy(np.linalg.inv(T[alignment.tree.root]) @ T) for T in (cameras.poses, wanted))
        assert relative_error(got, wanted) < 2 * TOLERANCE  # 100 steps add up what versions of PyTorch round otherwise
        assert relative_error(torch.from_numpy(cameras.intrinsics), case.out[f"{name}/{stage}/intrinsics"]) < TOLERANCE
        for i, depth in enumerate(cameras.depths):
            assert relative_error(torch.from_numpy(depth).flatten(), case.out[f"{name}/{stage}/depth{i}"]) < TOLERANCE
    if name == "hclust":
        check_dense(case, canonical, alignment.cameras())


def check_dense(case, canonical, cameras):
    poses, K = torch.from_numpy(cameras.poses).float(), torch.from_numpy(cameras.intrinsics).float()
    focals, centres = K[:, 0, 0], K[:, :2, 2]
    depths = [dense_depth(torch.from_numpy(d).float(), c.ratio, c.focal, float(f))
              for d, c, f in zip(cameras.depths, canonical, focals, strict=True)]
    points = [lifted(*x) for x in zip(depths, poses, focals, centres, strict=True)]
    cleaned = clean(points, depths, [c.confidence for c in canonical], poses, focals, centres)
    for i, (depth, confidence) in enumerate(zip(depths, cleaned, strict=True)):
        assert relative_error(depth.flatten(), case.out[f"dense/{i}/depth"].float()) < TOLERANCE
        wrong, expected = confidence == 0, case.out[f"dense/{i}/conf"] == 0
        # pixels at the very edge of another image's surface fall on one side or the other with the last digit of a pose
        assert expected.sum() > 2000 and (wrong != expected).sum() < 0.005 * expected.sum()
        kept = ~wrong & ~expected
        assert torch.allclose(confidence[kept], case.out[f"dense/{i}/conf"][kept].float(), rtol=1e-3)


def test_a_block_at_the_camera_leaves_numbers():
    total = CanonicalSum(16, 16)
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    points = torch.stack([(x - 8) / 10, (y - 8) / 10, torch.ones(16, 16)], -1)
    points[:8, :8] = 0
    total.add(1, points, torch.full((16, 16), 2.0))
    assert bool(torch.isfinite(total.result().ratio).all())


def test_known_intrinsics_stay(case, canonical):
    K = np.tile(np.array([[84.0, 0, 47.5], [0, 84, 31.5], [0, 0, 1]]), (4, 1, 1))
    alignment = alignment_of(case, canonical, intrinsics=K)
    for stage in ("coarse", "fine"):
        _, cameras = alignment.optimise(stage, 20)
    assert np.allclose(cameras.intrinsics, K, atol=1e-4)
    free = alignment_of(case, canonical)
    free.optimise("fine", 20)
    assert not np.allclose(free.cameras().intrinsics, K, atol=1e-2)


def test_a_tree_hangs_clusters_together():
    """Two rows of images that one pair joins: no edge crosses between them but that."""
    scores = np.zeros((8, 8))
    for a in range(8):
        for b in range(a):
            scores[a, b] = scores[b, a] = 100 - 20 * (a - b) if (a < 4) == (b < 4) else 0
    scores[3, 4] = scores[4, 3] = 5
    for kind in ("hclust-ward", "mst"):
        tree = make_tree(scores, np.full(8, 12), kind)
        assert sorted({tree.root, *tree.edges[:, 1].tolist()}) == list(range(8))
        assert sum((a < 4) != (b < 4) for a, b in tree.edges.tolist()) == 1
        done = {tree.root}
        for parent, child in tree.edges.tolist():
            assert parent in done
            done.add(child)


def test_errors(case, canonical):
    with pytest.raises(ValueError, match="whole blocks"):
        CanonicalSum(60, 96)
    with pytest.raises(ValueError, match="do not fit"):
        CanonicalSum(64, 96).add(0, torch.zeros(64, 64, 3), torch.ones(64, 64))
    for points, confidence, message in ((torch.ones(8, 8, 3), torch.full((8, 8), 0.5), "no prediction"),
                                        (-torch.ones(8, 8, 3), torch.full((8, 8), 2.0), "in front")):
        total = CanonicalSum(8, 8)
        total.add(1, points, confidence)
        with pytest.raises(ValueError, match=message):
            total.result()
    with pytest.raises(ValueError, match="2 groups"):
        make_tree(np.zeros((2, 2)), np.ones(2))
    with pytest.raises(ValueError, match="none of"):
        make_tree(np.ones((2, 2)), np.ones(2), "star")
    alignment = alignment_of(case, canonical)
    with torch.no_grad():
        alignment.trans[1] = torch.nan
    with pytest.raises(FloatingPointError, match="coarse alignment became nan at step 0"):
        alignment.optimise("coarse", 3)
