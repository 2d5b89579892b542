/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * Every formula that the voxel map computes per pixel, tile, ray, voxel and cell, once: the common subset of C99 and CUDA
 * C++ that cpu.c and gpu.cu both include. These two hold only the walk over the items (threads, bands, rows, caches, sets
 * of keys, shortcuts) and call what stands here. lsm_ros/fusion/backends/{pixels,integrate,freespace,extract}.py are the
 * same in NumPy, and all must agree bit for bit: plain IEEE operations in the order written here, no fused multiply-add,
 * no transcendental functions.
 */
#ifndef LSM_KERNELS_H
#define LSM_KERNELS_H

#ifdef __CUDACC__
#define LSM_FN static __device__ inline
#else
#define LSM_FN static inline
#endif

#define LSM_BLOCK 8
#define LSM_VOXELS 512
#define LSM_CELLS 64 /* label cells of a block */
#define LSM_STEPS 511.0f
#define LSM_TILE 4
#define LSM_LEVELS 16
#define LSM_INFINITY 3.0e38f
#define LSM_UNLABELLED 65535u
#define LSM_CODE 64 /* numbers of the code of a label; the sums have one more, of the weight */
#define LSM_HALF 1048576 /* block indices are within -HALF..HALF-1 */

enum { LSM_SDF, LSM_WEIGHT, LSM_RED, LSM_GREEN, LSM_BLUE, LSM_NEAR, LSM_COLUMNS };

/* Observation, pose and layout; written by view.py in this order. */
typedef struct {
    double inverse[9]; /* map to camera, rows */
    double t[3];       /* camera centre in the map */
    double size;       /* voxel */
    float fx, fy, cx, cy, cx_floor, cy_floor; /* floor(x + c_floor) is the nearest pixel */
    float inverse_fx, inverse_fy, largest_f;
    float z_step, max_depth, quality; /* quality: weight of confidence 1 at inverse depth 1 */
    float tile_cx, tile_cy;           /* of the middle of tile 0 from the principal point */
    float steps, one_voxel, behind;   /* steps per camera unit and step of slope; steps of a voxel; 1 / (511 - one_voxel) */
    float scale, rotation[9], fraction[3], offsets[8]; /* for blocks: rotation and fraction in blocks */
    float cell_radius, cell_margin, cell_reach;        /* free-space cells, camera units */
    int base[3];                                       /* block of the camera */
    int width, height, full_width, full_height, stride;
    int tile_columns, tile_rows, step, samples;
    int feature_columns, feature_rows, feature_dim, feature_stride, label_width;
    int levels, level_offset[LSM_LEVELS];
} lsm_view;

/* geometry: depth in z_step (0 where there is none), slope in 1 / 32768 << 16. rgbw: red, green << 8, blue << 16, weight << 24;
 * the weight is 0 where there is no depth. Eight bytes, since the time that pixels take is mostly that of memory. */
typedef struct {
    unsigned int geometry, rgbw;
} lsm_pixel;

LSM_FN float lsm_abs(float x) { return x < 0.0f ? -x : x; }
LSM_FN float lsm_smaller(float a, float b) { return a < b ? a : b; }

/* Nearest integer, ties to even, for |x| < 2^22. */
LSM_FN int lsm_round(float x) { return (int)((x + 12582912.0f) - 12582912.0f); }

LSM_FN int lsm_floor(float x) {
    int i = (int)x;
    return i - (x < (float)i);
}

/* ---- pixels ---- */

LSM_FN float lsm_raw_depth(float z_step, float max_depth, unsigned short z, unsigned char confidence) {
    float depth = (float)z * z_step;
    return (confidence > 0) & (depth >= 0.001f) & (depth <= max_depth) ? depth : 0.0f;
}

/* Whether a depth lies apart from both neighbours (0: none) on one axis. */
LSM_FN int lsm_hangs(float depth, float low, float high) {
    float limit = depth * 0.05f;
    return (low > 0.0f) & (high > 0.0f) & (lsm_abs(depth - low) > limit) & (lsm_abs(depth - high) > limit);
}

/* Depth of a pixel, 0 where it hangs in the air, from its neighbours in the whole image. */
LSM_FN float lsm_clean(float depth, float left, float right, float up, float down) {
    return lsm_hangs(depth, left, right) | lsm_hangs(depth, up, down) ? 0.0f : depth;
}

LSM_FN float lsm_inverse(float depth) { return depth > 0.0f ? 1.0f / depth : 0.0f; }

/* A depth as the pyramid of nearest depths takes it. */
LSM_FN float lsm_near(float depth) { return depth > 0.0f ? depth : LSM_INFINITY; }

/* Sum of inverse depths of a column of a tile, from the top. */
LSM_FN float lsm_tile_column(float a, float b, float c, float d) { return ((a + b) + c) + d; }

/* Mean inverse depth of a tile from the sums of its columns, 0 if too few pixels are known. */
LSM_FN float lsm_tile_mean(float a, float b, float c, float d, int count) {
    return count >= LSM_TILE ? ((a + b) + (c + d)) / (float)count : 0.0f;
}

/* Middle of a tile from the principal point, and pixels of a tile from its middle, along one axis. */
LSM_FN float lsm_tile_middle(int tile, float tile_c) { return (float)(tile * LSM_TILE) + tile_c; }
LSM_FN float lsm_off_middle(int pixel) { return (float)pixel - 0.5f * (LSM_TILE - 1); }

/* Change per pixel to the next or the last tile, whichever is smaller. */
LSM_FN float lsm_gradient(float before, float here, float after) {
    float next = after > 0.0f ? after - here : LSM_INFINITY;
    float last = before > 0.0f ? here - before : LSM_INFINITY;
    float best = lsm_abs(next) < lsm_abs(last) ? next : last;
    return best < LSM_INFINITY ? best * 0.25f : 0.0f;
}

/* Slope of a tile whose middle lies across, down (pixels) from the principal point. */
LSM_FN float lsm_tile_slope(float fx, float fy, float across, float down, float rho, float du, float dv) {
    float mx = du * fx, my = dv * fy, mz = (rho - across * du) - down * dv;
#ifdef __CUDACC__
    float norm = sqrtf((mx * mx + my * my) + mz * mz);
#else
    float norm = __builtin_sqrtf((mx * mx + my * my) + mz * mz);
#endif
    float slope = norm > 0.0f ? rho / norm : 1.0f;
    slope = slope < 0.3f ? 0.3f : slope;
    return slope > 1.5f ? 1.5f : slope;
}

/* Inverse depth that a tile's plane has some pixels off, along one axis. */
LSM_FN float lsm_expected(float from, float pixels, float gradient) { return from + pixels * gradient; }

LSM_FN float lsm_pixel_slope(float inverse, float expected, float tile_slope) {
    return lsm_abs(inverse - expected) <= 0.01f * inverse ? tile_slope : 1.0f;
}

LSM_FN unsigned int lsm_geometry(unsigned int z, float slope) {
    return z | (unsigned int)lsm_round(slope * 32768.0f) << 16;
}

/* What a pixel's depth is stored as: nothing where it is not used. */
LSM_FN unsigned int lsm_pixel_z(unsigned short z, float depth) { return (unsigned int)z & (0u - (unsigned int)(depth > 0.0f)); }

LSM_FN float lsm_depth(unsigned int geometry, float z_step) { return (float)(int)(geometry & 0xffff) * z_step; }

LSM_FN int lsm_weight(float quality, float confidence, float inverse) {
    float w = (confidence * quality) * inverse;
    int weight = lsm_round(w < 63.0f ? w : 63.0f);
    return weight < 1 ? 1 : weight;
}

LSM_FN int lsm_pixel_weight(float depth, float quality, unsigned char confidence, float inverse) {
    int weight = lsm_weight(quality, (float)confidence, inverse);
    return depth > 0.0f ? weight : 0;
}

LSM_FN unsigned int lsm_color(const unsigned char *rgb) {
    return rgb[0] | (unsigned int)rgb[1] << 8 | (unsigned int)rgb[2] << 16;
}

LSM_FN unsigned int lsm_rgbw(unsigned int color, int weight) { return color | (unsigned int)weight << 24; }
LSM_FN int lsm_channel(unsigned int rgbw, int channel) { return (int)(rgbw >> (8 * channel) & 255); }
LSM_FN int lsm_weight_of(unsigned int rgbw) { return (int)(rgbw >> 24); }

/* ---- voxels ---- */

/* Place of a voxel (or a free-space cell) in its block along an axis, and the label cell that it lies in. */
LSM_FN int lsm_place(int voxel, int axis) { return voxel >> (6 - 3 * axis) & 7; }
LSM_FN int lsm_label_cell(int voxel) { return (voxel >> 7) << 4 | (voxel >> 4 & 3) << 2 | (voxel >> 1 & 3); }

/* Where the sums of a block begin: LSM_COLUMNS columns of LSM_VOXELS each. */
LSM_FN long long lsm_first_sum(long long slot) { return slot * (LSM_VOXELS * LSM_COLUMNS); }

/* Camera coordinate `axis` of the first voxel of a block, and of a place (in voxels) from there. */
LSM_FN float lsm_start(const lsm_view *v, int axis, const int *block) {
    const double *m = v->inverse + 3 * axis;
    double c0 = ((double)block[0] * LSM_BLOCK + 0.5) * v->size - v->t[0];
    double c1 = ((double)block[1] * LSM_BLOCK + 0.5) * v->size - v->t[1];
    double c2 = ((double)block[2] * LSM_BLOCK + 0.5) * v->size - v->t[2];
    return (float)(m[0] * c0 + m[1] * c1 + m[2] * c2);
}

LSM_FN float lsm_inside(const lsm_view *v, int axis, double i, double j, double k) {
    const double *m = v->inverse + 3 * axis;
    return (float)((m[0] * i + m[1] * j + m[2] * k) * v->size);
}

/* Image coordinate on one axis of a point beside the optical axis, with the inverse of its depth. */
LSM_FN float lsm_image(float beside, float inverse, float f, float c) { return (beside * inverse) * f + c; }

/* Pixel that shows a point, -1 if none does. */
LSM_FN int lsm_project(float fx, float fy, float cx, float cy, int width, int height, float x, float y, float z) {
    int front = z > 0.02f;
    float inverse = 1.0f / (front ? z : 1.0f);
    float u = lsm_image(x, inverse, fx, cx), v = lsm_image(y, inverse, fy, cy);
    int seen = front & (u >= 0.0f) & (u < (float)width) & (v >= 0.0f) & (v < (float)height);
    return seen ? (int)(seen ? v : 0.0f) * width + (int)(seen ? u : 0.0f) : -1;
}

/* Pixel that shows a place of a block, in voxels from its first one, and the depth of the place; -1 if none does. */
LSM_FN int lsm_see(const lsm_view *v, const int *block, double i, double j, double k, float *depth) {
    const float x = lsm_start(v, 0, block) + lsm_inside(v, 0, i, j, k);
    const float y = lsm_start(v, 1, block) + lsm_inside(v, 1, i, j, k);
    *depth = lsm_start(v, 2, block) + lsm_inside(v, 2, i, j, k);
    return lsm_project(v->fx, v->fy, v->cx_floor, v->cy_floor, v->width, v->height, x, y, *depth);
}

LSM_FN float lsm_distance(float steps, float z_step, unsigned int geometry, float z) {
    return ((lsm_depth(geometry, z_step) - z) * (float)(int)(geometry >> 16)) * steps;
}

/* Whether a voxel at a distance from a pixel's surface counts, has the pixel's colour, and shows what is on the surface. */
LSM_FN int lsm_counts(int weight, float distance) { return (weight > 0) & (distance >= -LSM_STEPS); }
LSM_FN int lsm_has_color(float distance) { return distance <= LSM_STEPS; }
LSM_FN int lsm_on_surface(float distance, float one_voxel) { return lsm_abs(distance) <= one_voxel; }

/* Weight of a voxel at a distance >= -511: it falls behind the surface from one voxel on. */
LSM_FN int lsm_voxel_weight(float one_voxel, float behind, int weight, float distance) {
    int less = (int)((float)weight * ((distance + LSM_STEPS) * behind));
    less = less < 1 ? 1 : less;
    return distance < -one_voxel ? less : weight;
}

LSM_FN int lsm_steps(float distance) { return lsm_round(distance < LSM_STEPS ? distance : LSM_STEPS); }

LSM_FN void lsm_unpack(long long key, int *block) {
    block[0] = (int)(key >> 42) - LSM_HALF;
    block[1] = (int)((key >> 21) & 0x1fffff) - LSM_HALF;
    block[2] = (int)(key & 0x1fffff) - LSM_HALF;
}

LSM_FN long long lsm_pack(int x, int y, int z) {
    return ((long long)(x + LSM_HALF) << 42) | ((long long)(y + LSM_HALF) << 21) | (long long)(z + LSM_HALF);
}

/* Feature vector of a pixel. */
LSM_FN int lsm_feature_row(const lsm_view *v, int pixel) {
    int row = pixel / v->width * v->stride / v->feature_stride;
    int column = pixel % v->width * v->stride / v->feature_stride;
    row = row < v->feature_rows ? row : v->feature_rows - 1;
    column = column < v->feature_columns ? column : v->feature_columns - 1;
    return row * v->feature_columns + column;
}

/* Weight of the features of a label cell, 0 if it has none: those of the pixel that shows its centre, on the surface. */
LSM_FN int lsm_feature_weight(const lsm_view *v, const lsm_pixel *pixels, const int *block, int cell, int *pixel) {
    float z;
    *pixel = lsm_see(v, block, 2 * (cell >> 4) + 0.5, 2 * (cell >> 2 & 3) + 0.5, 2 * (cell & 3) + 0.5, &z);
    if (*pixel < 0) return 0;
    const lsm_pixel q = pixels[*pixel];
    return lsm_on_surface(lsm_distance(v->steps, v->z_step, q.geometry, z), v->one_voxel) ? lsm_weight_of(q.rgbw) : 0;
}

/* Signs of the code of a label, a bit each (label_codes.py). */
LSM_FN unsigned long long lsm_code(unsigned int label) {
    unsigned long long x = ((unsigned long long)label + 1) * 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

LSM_FN int lsm_signed(unsigned long long code, int number, int weight) { return code >> number & 1 ? weight : -weight; }

/* ---- blocks ---- */

/* Camera coordinate on one axis of a pixel's ray at depth 1; coordinate in the map of a ray, from a row of the rotation;
 * distance along it of a sample near the surface at depth z. */
LSM_FN float lsm_ray(int pixel, float c, float inverse_f) { return ((float)pixel - c) * inverse_f; }
LSM_FN float lsm_direction(const float *row, float x, float y) { return (row[0] * x + row[1] * y) + row[2]; }
LSM_FN float lsm_along(float scale, float z, float offset) { return scale * z + offset; }

/* Index of the block on one axis at distance `along` on a ray. */
LSM_FN int lsm_block_index(float direction, float along, float fraction, int base) {
    return lsm_floor(direction * along + fraction) + base;
}

LSM_FN int lsm_on_axis(int index) { return (index >= -LSM_HALF) & (index < LSM_HALF); }
LSM_FN int lsm_in_world(int x, int y, int z) { return lsm_on_axis(x) & lsm_on_axis(y) & lsm_on_axis(z); }

LSM_FN unsigned int lsm_hash(long long key) {
    unsigned long long h = (unsigned long long)key * 0x9E3779B97F4A7C15ull;
    return (unsigned int)(h >> 32);
}

/* ---- free space ---- */

/* Number of a block in a box of `down` times `across` blocks a layer, as its place along the three axes. */
LSM_FN void lsm_box_place(int number, int down, int across, int *place) {
    place[0] = number / (down * across);
    place[1] = number / across % down;
    place[2] = number % across;
}

/* Camera coordinate of a cell's centre, from the shares of its places along the three axes of the map. */
LSM_FN float lsm_center(float x, float y, float z) { return (x + y) + z; }

/* Whether the centre of a cell is in front of the camera, in reach and in the image; u, v: where, inverse: of its depth. */
LSM_FN int lsm_center_seen(const lsm_view *p, float x, float y, float z, float *u, float *v, float *inverse) {
    int front = (z > p->cell_radius) & (z <= p->cell_reach);
    *inverse = 1.0f / (front ? z : 1.0f);
    *u = lsm_image(x, *inverse, p->fx, p->cx);
    *v = lsm_image(y, *inverse, p->fy, p->cy);
    return front & (*u >= 0.0f) & (*u <= (float)(p->width - 1)) & (*v >= 0.0f) & (*v <= (float)(p->height - 1));
}

/* Width of the tiles of a level of the pyramid; the first level whose tiles are `pixels` wide, or the last; how many tiles
 * cover a side of the image. */
LSM_FN int lsm_tile_width(int level) { return LSM_TILE << level; }
LSM_FN int lsm_level(const lsm_view *p, float pixels) {
    int level = 0;
    for (float width = LSM_TILE; level < p->levels - 1 && width < pixels; width += width) level++;
    return level;
}
LSM_FN int lsm_tiles(int pixels, int tile) { return (pixels + tile - 1) / tile; }

/* Depth that all that is seen around a cell with its centre at depth z must exceed for the cell to be free. */
LSM_FN float lsm_free_limit(const lsm_view *p, float z) { return (z + p->cell_radius) + p->cell_margin; }

/* Weight that sees a cell whose centre is seen (lsm_center_seen) at depth z wholly empty, 0 if it is not. near, known:
 * pyramid of nearest depth and number of known pixels, from tiles of 4 pixels on. */
LSM_FN int lsm_free(const lsm_view *p, const float *near, const int *known, float z, float u, float v, float inverse) {
    float reach = (p->cell_radius * inverse) * p->largest_f;
    int level = lsm_level(p, reach), tile = lsm_tile_width(level);
    int columns = lsm_tiles(p->width, tile), rows = lsm_tiles(p->height, tile);
    float per_tile = 1.0f / (float)tile;
    float left = (u - reach) * per_tile, right = (u + reach) * per_tile;
    float top = (v - reach) * per_tile, bottom = (v + reach) * per_tile;
    int c0 = left > 0.0f ? (int)left : 0, c1 = right < (float)(columns - 1) ? (int)right : columns - 1;
    int r0 = top > 0.0f ? (int)top : 0, r1 = bottom < (float)(rows - 1) ? (int)bottom : rows - 1;
    float limit = lsm_free_limit(p, z);
    const float *pyramid = near + p->level_offset[level];
    for (int r = r0; r <= r1; r++)
        for (int c = c0; c <= c1; c++)
            if (!(pyramid[r * columns + c] > limit)) return 0;
    int r = (int)(v * per_tile), c = (int)(u * per_tile);
    int tall = p->height - r * tile < tile ? p->height - r * tile : tile;
    int wide = p->width - c * tile < tile ? p->width - c * tile : tile;
    if (2 * known[p->level_offset[level] + r * columns + c] < tall * wide) return 0;
    return lsm_weight(p->quality, 255.0f, inverse);
}

/* ---- reading ---- */

/* Mean signed distance of a voxel, in voxels (unit: those of a step); infinite where nothing was seen. */
LSM_FN float lsm_mean(const int *voxels, long long slot, int voxel, float unit) {
    if (slot < 0) return LSM_INFINITY;
    const int *sums = voxels + lsm_first_sum(slot) + voxel;
    int weight = sums[LSM_WEIGHT * LSM_VOXELS];
    return weight ? ((float)sums[LSM_SDF * LSM_VOXELS] / (float)weight) * unit : LSM_INFINITY;
}

/* Whether a voxel of block n is on the surface, its distance, and the slope of the distance along the three axes.
 * neighbours: six slots for each block, before and after it along x, y, z; -1 where there is none. */
LSM_FN int lsm_crossing(const int *voxels, const long long *slots, const long long *neighbours, long long n, int voxel,
                        float unit, int least, float *distance, float *slope) {
    if (voxels[lsm_first_sum(slots[n]) + LSM_WEIGHT * LSM_VOXELS + voxel] < least) return 0;
    const float d = lsm_mean(voxels, slots[n], voxel, unit);
    if (!(lsm_abs(d) < 1.0f)) return 0;
    int on = lsm_abs(d) <= 0.5f;
    for (int axis = 0; axis < 3; axis++) {
        const int shift = 6 - 3 * axis, at = lsm_place(voxel, axis);
        const long long before_slot = at > 0 ? slots[n] : neighbours[6 * n + 2 * axis];
        const long long after_slot = at < 7 ? slots[n] : neighbours[6 * n + 2 * axis + 1];
        const float before = lsm_mean(voxels, before_slot, at > 0 ? voxel - (1 << shift) : voxel + (7 << shift), unit);
        const float after = lsm_mean(voxels, after_slot, at < 7 ? voxel + (1 << shift) : voxel - (7 << shift), unit);
        const int has_before = before < LSM_INFINITY, has_after = after < LSM_INFINITY;
        on |= has_before & ((d < 0.0f) != (before < 0.0f)) & (lsm_abs(d) <= lsm_abs(before));
        on |= has_after & ((d < 0.0f) != (after < 0.0f)) & (lsm_abs(d) <= lsm_abs(after));
        slope[axis] = has_before & has_after ? 0.5f * (after - before)
                      : has_after            ? after - d
                      : has_before           ? d - before
                                             : 0.0f;
    }
    *distance = d;
    return on & ((slope[0] != 0.0f) | (slope[1] != 0.0f) | (slope[2] != 0.0f));
}

#endif
