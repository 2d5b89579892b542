/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * The voxel map's work on a GPU: one pixel, tile, voxel or cell per thread, launched by lsm_ros/fusion/backends/cuda.py.
 * Only the walk over the items is here, all formulas are in kernels.h. Compiled at run time with -fmad=false. Sums are of
 * integers, so the order of threads does not matter.
 */
#include "kernels.h"

#define KERNEL extern "C" __global__ void
#define ITEM(count)                                                          \
    const long long item = (long long)blockIdx.x * blockDim.x + threadIdx.x; \
    if (item >= (count)) return

static __device__ float raw_at(const lsm_view *v, const unsigned short *z, const unsigned char *confidence, int row,
                               int column) {
    if (row < 0 || column < 0 || row >= v->full_height || column >= v->full_width) return 0.0f;
    const long long at = (long long)row * v->full_width + column;
    return lsm_raw_depth(v->z_step, v->max_depth, z[at], confidence[at]);
}

/* Depth of each pixel that is used, without what hangs in the air: that is seen in the whole image. */
KERNEL lsm_gpu_depth(const lsm_view *v, const unsigned short *z, const unsigned char *confidence, float *depth, int count) {
    ITEM(count);
    const int row = (int)(item / v->width) * v->stride, column = (int)(item % v->width) * v->stride;
    const float d = raw_at(v, z, confidence, row, column);
    const float left = raw_at(v, z, confidence, row, column - 1), right = raw_at(v, z, confidence, row, column + 1);
    const float up = raw_at(v, z, confidence, row - 1, column), down = raw_at(v, z, confidence, row + 1, column);
    depth[item] = lsm_clean(d, left, right, up, down);
}

/* Mean inverse depth of each tile, and the first level of the pyramid. */
KERNEL lsm_gpu_tiles(const lsm_view *v, const float *depth, float *rho, float *near, int *known, int count) {
    ITEM(count);
    const int row = (int)(item / v->tile_columns) * LSM_TILE, column = (int)(item % v->tile_columns) * LSM_TILE;
    float sum[LSM_TILE], nearest = LSM_INFINITY;
    int seen = 0;
    for (int c = 0; c < LSM_TILE; c++) {
        float inverse[LSM_TILE];
        for (int r = 0; r < LSM_TILE; r++) {
            const int inside = row + r < v->height && column + c < v->width;
            const float d = inside ? depth[(long long)(row + r) * v->width + column + c] : 0.0f;
            inverse[r] = lsm_inverse(d);
            nearest = lsm_smaller(lsm_near(d), nearest);
            seen += d > 0.0f;
        }
        sum[c] = lsm_tile_column(inverse[0], inverse[1], inverse[2], inverse[3]);
    }
    rho[item] = lsm_tile_mean(sum[0], sum[1], sum[2], sum[3], seen);
    near[item] = nearest;
    known[item] = seen;
}

/* One level of the pyramid from the one below, which has `columns` and `rows`. */
KERNEL lsm_gpu_pyramid(const lsm_view *v, float *near, int *known, int level, int rows, int columns, int count) {
    ITEM(count);
    const int wide = (columns + 1) / 2, r = (int)item / wide, c = (int)item % wide;
    const float *n = near + v->level_offset[level - 1];
    const int *k = known + v->level_offset[level - 1];
    float nearest = LSM_INFINITY;
    int total = 0;
    for (int i = 2 * r; i < rows && i < 2 * r + 2; i++)
        for (int j = 2 * c; j < columns && j < 2 * c + 2; j++) {
            nearest = lsm_smaller(n[i * columns + j], nearest);
            total += k[i * columns + j];
        }
    near[v->level_offset[level] + item] = nearest;
    known[v->level_offset[level] + item] = total;
}

/* labels may be 0. farthest: bits of the largest depth, whose order is that of positive floats. */
KERNEL lsm_gpu_pixels(const lsm_view *v, const float *depth, const float *rho, const unsigned short *z,
                      const unsigned char *confidence, const unsigned char *rgb, const unsigned short *labels,
                      lsm_pixel *pixels, unsigned char *present, int *farthest, int count) {
    ITEM(count);
    const int row = (int)(item / v->width), column = (int)(item % v->width);
    const int tile_row = row / LSM_TILE, tile_column = column / LSM_TILE, columns = v->tile_columns;
    const long long from = (long long)row * v->stride * v->full_width + (long long)column * v->stride;
    const float d = depth[item], inverse = lsm_inverse(d);
    const float *tile = rho + (long long)tile_row * columns + tile_column;
    const float here = *tile;
    lsm_pixel out;
    float slope = 1.0f;
    if (here > 0.0f) {
        const float left = tile_column > 0 ? tile[-1] : 0.0f, right = tile_column < columns - 1 ? tile[1] : 0.0f;
        const float up = tile_row > 0 ? tile[-columns] : 0.0f, down = tile_row < v->tile_rows - 1 ? tile[columns] : 0.0f;
        const float du = lsm_gradient(left, here, right), dv = lsm_gradient(up, here, down);
        const float across = lsm_off_middle(column % LSM_TILE), below = lsm_off_middle(row % LSM_TILE);
        const float expected = lsm_expected(lsm_expected(here, across, du), below, dv);
        const float middle_x = lsm_tile_middle(tile_column, v->tile_cx), middle_y = lsm_tile_middle(tile_row, v->tile_cy);
        slope = lsm_pixel_slope(inverse, expected, lsm_tile_slope(v->fx, v->fy, middle_x, middle_y, here, du, dv));
    }
    out.rgbw = lsm_rgbw(lsm_color(rgb + 3 * from), lsm_pixel_weight(d, v->quality, confidence[from], inverse));
    out.geometry = lsm_geometry(lsm_pixel_z(z[from], d), slope);
    pixels[item] = out;
    if (d > 0.0f) {
        if (labels) present[labels[from]] = 1;
        const int bits = __float_as_int(d);
        if (bits > *farthest) atomicMax(farthest, bits);
    }
}

/* Collects the keys of blocks near surfaces in a hash set of size mask + 1, emptied (-1) before. state: number of keys,
 * whether the set was too small, whether a block is beyond the edge of the world. */
KERNEL lsm_gpu_blocks(const lsm_view *v, const lsm_pixel *pixels, unsigned long long *set, int mask, long long *keys,
                      int *state, int count) {
    ITEM(count);
    const int columns = (v->width + v->step - 1) / v->step;
    const int row = (int)(item / columns) * v->step, column = (int)(item % columns) * v->step;
    const float z = lsm_depth(pixels[(long long)row * v->width + column].geometry, v->z_step);
    if (!(z > 0.0f)) return;
    const float x = lsm_ray(column, v->cx, v->inverse_fx), y = lsm_ray(row, v->cy, v->inverse_fy);
    float direction[3];
    for (int a = 0; a < 3; a++) direction[a] = lsm_direction(v->rotation + 3 * a, x, y);
    for (int s = 0; s < v->samples; s++) {
        const float along = lsm_along(v->scale, z, v->offsets[s]);
        if (!(along > 0.0f)) continue;
        int block[3];
        for (int a = 0; a < 3; a++) block[a] = lsm_block_index(direction[a], along, v->fraction[a], v->base[a]);
        if (!lsm_in_world(block[0], block[1], block[2])) {
            state[2] = 1;
            continue;
        }
        const long long key = lsm_pack(block[0], block[1], block[2]);
        const unsigned long long none = ~0ull;
        unsigned int h = lsm_hash(key) & (unsigned int)mask;
        int tries = 0;
        for (; tries < 256; tries++, h = (h + 1) & (unsigned int)mask) {
            const unsigned long long before = set[h] == none ? atomicCAS(&set[h], none, (unsigned long long)key) : set[h];
            if (before == (unsigned long long)key) break;
            if (before == none) {
                keys[atomicAdd(&state[0], 1)] = key;
                break;
            }
        }
        if (tries == 256) state[1] = 1;
    }
}

KERNEL lsm_gpu_free(const lsm_view *v, const float *near, const int *known, const float *x, const float *y, const float *z,
                    int nx, int ny, int nz, unsigned char *weights, unsigned char *used, int count) {
    ITEM(count);
    const int n = (int)(item / LSM_VOXELS), cell = (int)(item % LSM_VOXELS);
    int block[3], place[3];
    lsm_box_place(n, ny, nz, block);
    for (int a = 0; a < 3; a++) place[a] = block[a] * LSM_BLOCK + lsm_place(cell, a);
    float at[3];
    for (int m = 0; m < 3; m++)
        at[m] = lsm_center(x[m * nx * LSM_BLOCK + place[0]], y[m * ny * LSM_BLOCK + place[1]],
                           z[m * nz * LSM_BLOCK + place[2]]);
    float u, w, inverse;
    const int seen = lsm_center_seen(v, at[0], at[1], at[2], &u, &w, &inverse);
    const int weight = seen ? lsm_free(v, near, known, at[2], u, w, inverse) : 0;
    weights[item] = (unsigned char)weight;
    if (weight) used[n] = 1;
}

/* voxels, labels, column_of may be 0; see lsm_sum of cpu_sums.h. */
KERNEL lsm_gpu_sum(const lsm_view *v, const lsm_pixel *pixels, const long long *keys, const long long *slots, int *voxels,
                   int *labels, const unsigned short *shown, const signed char *column_of, int sign, int count) {
    ITEM(count);
    const int n = (int)(item / LSM_VOXELS), voxel = (int)(item % LSM_VOXELS);
    int block[3];
    lsm_unpack(keys[n], block);
    float z;
    const int pixel = lsm_see(v, block, lsm_place(voxel, 0), lsm_place(voxel, 1), lsm_place(voxel, 2), &z);
    if (pixel < 0) return;
    const lsm_pixel q = pixels[pixel];
    int weight = lsm_weight_of(q.rgbw);
    const float distance = lsm_distance(v->steps, v->z_step, q.geometry, z);
    if (!lsm_counts(weight, distance)) return;
    weight = lsm_voxel_weight(v->one_voxel, v->behind, weight, distance) * sign;
    if (voxels) {
        int *sums = voxels + lsm_first_sum(slots[n]) + voxel;
        sums[LSM_SDF * LSM_VOXELS] += lsm_steps(distance) * weight;
        sums[LSM_WEIGHT * LSM_VOXELS] += weight;
        if (lsm_has_color(distance)) {
            sums[LSM_RED * LSM_VOXELS] += lsm_channel(q.rgbw, 0) * weight;
            sums[LSM_GREEN * LSM_VOXELS] += lsm_channel(q.rgbw, 1) * weight;
            sums[LSM_BLUE * LSM_VOXELS] += lsm_channel(q.rgbw, 2) * weight;
            sums[LSM_NEAR * LSM_VOXELS] += weight;
        }
    }
    const unsigned int label = labels && lsm_on_surface(distance, v->one_voxel) ? shown[pixel] : LSM_UNLABELLED;
    if (label == LSM_UNLABELLED) return;
    int *evidence = labels + (slots[n] * LSM_CELLS + lsm_label_cell(voxel)) * v->label_width;
    if (column_of) {
        if (column_of[label] >= 0) atomicAdd(evidence + column_of[label], weight);
        return;
    }
    const unsigned long long code = lsm_code(label);
    for (int d = 0; d < LSM_CODE; d++) atomicAdd(evidence + d, lsm_signed(code, d, weight));
    atomicAdd(evidence + LSM_CODE, weight);
}

/* One number of a cell's features per thread. */
KERNEL lsm_gpu_features(const lsm_view *v, const lsm_pixel *pixels, const long long *keys, const long long *slots, int *sums,
                        const signed char *features, int sign, long long count) {
    ITEM(count);
    const int columns = v->feature_dim + 1, d = (int)(item % columns), cell = (int)(item / columns % LSM_CELLS);
    const long long n = item / columns / LSM_CELLS;
    int block[3], pixel;
    lsm_unpack(keys[n], block);
    const int weight = lsm_feature_weight(v, pixels, block, cell, &pixel);
    if (!weight) return;
    const long long row = (long long)lsm_feature_row(v, pixel) * v->feature_dim;
    sums[(slots[n] * LSM_CELLS + cell) * columns + d] += (d < v->feature_dim ? features[row + d] : 1) * weight * sign;
}

KERNEL lsm_gpu_free_sum(int *cells, const long long *slots, const long long *rows, const unsigned char *weights, int sign,
                        int count) {
    ITEM(count);
    const int n = (int)(item / LSM_VOXELS), cell = (int)(item % LSM_VOXELS);
    cells[slots[n] * LSM_VOXELS + cell] += sign * weights[rows[n] * LSM_VOXELS + cell];
}

/* See lsm_surface_flags and lsm_surface_voxels of cpu_surface.h; unit: the bits of a float. */
KERNEL lsm_gpu_surface_flags(const int *voxels, const long long *slots, const long long *neighbours, int unit, int least,
                             unsigned char *flags, long long count) {
    ITEM(count);
    float distance, slope[3];
    flags[item] = (unsigned char)lsm_crossing(voxels, slots, neighbours, item / LSM_VOXELS, (int)(item % LSM_VOXELS),
                                              __int_as_float(unit), least, &distance, slope);
}

KERNEL lsm_gpu_surface_voxels(const int *voxels, const long long *slots, const long long *neighbours, const long long *items,
                              int unit, int least, float *distance, float *slope, int count) {
    ITEM(count);
    lsm_crossing(voxels, slots, neighbours, items[item] / LSM_VOXELS, (int)(items[item] % LSM_VOXELS), __int_as_float(unit),
                 least, distance + item, slope + 3 * item);
}
