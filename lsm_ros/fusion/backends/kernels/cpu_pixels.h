/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * Pixels of an observation, for cpu.c.
 */
/* ---- pixels: a band of tile rows at a time, each row of tiles after the next one is known ---- */

typedef struct {
    job j;
    const lsm_view *v;
    const unsigned short *z, *labels;
    const unsigned char *confidence, *rgb;
    lsm_pixel *pixels;
    float *near, *farthest;
    int *known;
    unsigned char *present;
    int failed;
} prepare_job;

/* A row of the whole image, with depth that is usable; zeros where there is no row. */
WIDE static void raw_row(const lsm_view *v, const unsigned short *z, const unsigned char *confidence, int row, float *out) {
    const float z_step = v->z_step, max_depth = v->max_depth;
    const int width = v->full_width;
    if (row < 0 || row >= v->full_height) {
        memset(out, 0, sizeof(float) * (size_t)width);
        return;
    }
    z += (size_t)row * width;
    confidence += (size_t)row * width;
    for (int c = 0; c < width; c++) out[c] = lsm_raw_depth(z_step, max_depth, z[c], confidence[c]);
}

/* Depth without what hangs in the air. Rows have a zero before and after them. */
WIDE static void clean_row(const float *raw, int stride, int width, float *depth) {
    const float *up = raw - stride, *down = raw + stride;
    for (int c = 0; c < width; c++) depth[c] = lsm_clean(raw[c], raw[c - 1], raw[c + 1], up[c], down[c]);
}

WIDE static void invert_row(const float *depth, int width, float *inverse) {
    for (int c = 0; c < width; c++) inverse[c] = lsm_inverse(depth[c]);
}

/* to[c] = from[c * n] for each c; with n known the compiler finds something quicker. */
#define PICK(type, name)                                                                                             \
    WIDE static void pick_##name(const type *restrict from, int n, int width, type *restrict to) {                   \
        if (n == 2)                                                                                                  \
            for (int c = 0; c < width; c++) to[c] = from[c * 2];                                                     \
        else                                                                                                         \
            for (int c = 0; c < width; c++) to[c] = from[c * n];                                                     \
    }
PICK(float, depth)
PICK(unsigned short, z)
PICK(unsigned char, confidence)

typedef struct {
    float *raw, *whole;           /* 9 and 1 rows of the whole image */
    float *depth, *inverse, *rho; /* 12, 12 rows of pixels, 3 rows of tiles */
    float *sum, *nearest;
    float *slope, *middle, *down, *row_slope, *most;
    unsigned int *row_rgbw, *row_geometry;
    unsigned short *row_z;
    unsigned char *row_confidence;
    int *count;
    int stride, full_stride;
} band;

/* The four rows of pixels of a row of tiles. What hangs is seen in the whole image, whichever pixels are used. */
static void read_rows(const prepare_job *p, const band *b, int tile_row, float *depth, float *inverse) {
    const lsm_view *v = p->v;
    const int n = v->stride, each = b->full_stride, first = tile_row * 4 * n - 1, together = n > 2 ? 0 : 3 * n + 3;
    for (int k = 0; k < together; k++) raw_row(v, p->z, p->confidence, first + k, b->raw + k * each + 1);
    for (int i = 0; i < 4; i++, depth += b->stride, inverse += b->stride) {
        for (int k = 0; !together && k < 3; k++) raw_row(v, p->z, p->confidence, first + i * n + k, b->raw + k * each + 1);
        const float *raw = b->raw + (together ? i * n + 1 : 1) * each + 1;
        clean_row(raw, each, v->full_width, n == 1 ? depth : b->whole);
        if (n > 1) pick_depth(b->whole, n, v->width, depth);
        invert_row(depth, v->width, inverse);
    }
}

/* Reads the four rows of a row of tiles into place `ring` of the band; only the band it belongs to keeps its pyramid. */
WIDE static void read_tiles(prepare_job *p, band *b, int tile_row, int ring, int keep) {
    const lsm_view *v = p->v;
    const int columns = v->tile_columns, stride = b->stride;
    float *depth = b->depth + ring * 4 * stride, *inverse = b->inverse + ring * 4 * stride;
    float *rho = b->rho + ring * (columns + 2) + 1;
    if (tile_row < 0 || tile_row >= v->tile_rows) {
        memset(rho, 0, sizeof(float) * (size_t)columns);
        return;
    }
    read_rows(p, b, tile_row, depth, inverse);
    float *restrict sum = b->sum, *restrict nearest = b->nearest;
    int *restrict seen = b->count;
    const float *q0 = inverse, *q1 = q0 + stride, *q2 = q1 + stride, *q3 = q2 + stride;
    const float *d0 = depth, *d1 = d0 + stride, *d2 = d1 + stride, *d3 = d2 + stride;
    for (int c = 0; c < columns * 4; c++) {
        sum[c] = lsm_tile_column(q0[c], q1[c], q2[c], q3[c]);
        seen[c] = (d0[c] > 0.0f) + (d1[c] > 0.0f) + (d2[c] > 0.0f) + (d3[c] > 0.0f);
    }
    for (int c = 0; c < columns * 4; c++)
        nearest[c] = lsm_smaller(lsm_smaller(lsm_near(d0[c]), lsm_near(d1[c])), lsm_smaller(lsm_near(d2[c]), lsm_near(d3[c])));
    float *near = p->near + (size_t)tile_row * columns;
    int *known = p->known + (size_t)tile_row * columns;
    for (int t = 0; t < columns; t++) {
        const float *s = b->sum + 4 * t, *n = b->nearest + 4 * t;
        const int *k = b->count + 4 * t;
        int count = (k[0] + k[1]) + (k[2] + k[3]);
        rho[t] = lsm_tile_mean(s[0], s[1], s[2], s[3], count);
        if (!keep) continue;
        near[t] = lsm_smaller(lsm_smaller(n[0], n[1]), lsm_smaller(n[2], n[3]));
        known[t] = count;
    }
}

/* Slope and gradient of each tile of a row, spread over its pixels: what is expected of the inverse depth in the tile's
 * middle row, and how it changes from row to row. */
WIDE static void spread_tiles(prepare_job *p, band *b, int tile_row, int ring) {
    const float fx = p->v->fx, fy = p->v->fy, tile_cx = p->v->tile_cx;
    const float middle_y = lsm_tile_middle(tile_row, p->v->tile_cy);
    const int columns = p->v->tile_columns;
    const float *rho = b->rho + ring * (columns + 2) + 1;
    const float *above = b->rho + (ring + 2) % 3 * (columns + 2) + 1, *below = b->rho + (ring + 1) % 3 * (columns + 2) + 1;
    float *restrict du = b->sum, *restrict dv = b->nearest, *restrict slope = b->row_slope; /* free at this time */
    for (int t = 0; t < columns; t++) {
        float u = lsm_gradient(rho[t - 1], rho[t], rho[t + 1]), w = lsm_gradient(above[t], rho[t], below[t]);
        du[t] = rho[t] > 0.0f ? u : 0.0f;
        dv[t] = rho[t] > 0.0f ? w : 0.0f;
    }
    for (int t = 0; t < columns; t++) {
        float tile = lsm_tile_slope(fx, fy, lsm_tile_middle(t, tile_cx), middle_y, rho[t], du[t], dv[t]);
        slope[t] = rho[t] > 0.0f ? tile : 1.0f;
    }
    for (int t = 0; t < columns; t++) {
        float *restrict each = b->slope + 4 * t, *restrict middle = b->middle + 4 * t, *restrict down = b->down + 4 * t;
        each[0] = each[1] = each[2] = each[3] = slope[t];
        down[0] = down[1] = down[2] = down[3] = dv[t];
        for (int i = 0; i < LSM_TILE; i++) middle[i] = lsm_expected(rho[t], lsm_off_middle(i), du[t]);
    }
}

/* z, confidence, rgb: of the row in the whole image. */
WIDE static void write_row(const lsm_view *v, const band *b, const float *depth, const float *inverse, float down,
                           const unsigned short *z, const unsigned char *confidence, const unsigned char *rgb,
                           lsm_pixel *out) {
    const int width = v->width, n = v->stride;
    const float quality = v->quality;
    float *restrict most = b->most;
    unsigned int *restrict geometry = b->row_geometry, *restrict rgbw = b->row_rgbw;
    if (n > 1) {
        pick_z(z, n, width, b->row_z);
        pick_confidence(confidence, n, width, b->row_confidence);
        z = b->row_z;
        confidence = b->row_confidence;
    }
    for (int c = 0; c < width; c++) {
        float slope = lsm_pixel_slope(inverse[c], lsm_expected(b->middle[c], down, b->down[c]), b->slope[c]);
        geometry[c] = lsm_geometry(0, slope);
        most[c] = depth[c] > most[c] ? depth[c] : most[c];
    }
    for (int c = 0; c < width; c++) rgbw[c] = lsm_rgbw(0, lsm_pixel_weight(depth[c], quality, confidence[c], inverse[c]));
    for (int c = 0; c < width; c++) geometry[c] |= lsm_pixel_z(z[c], depth[c]);
    const int last = width - 1;
    for (int c = 0; c < last; c++) { /* four bytes at once, of which one is the next pixel's */
        unsigned int color;
        memcpy(&color, rgb + (size_t)3 * n * c, 4);
        out[c].geometry = geometry[c];
        out[c].rgbw = rgbw[c] | (color & 0xffffff);
    }
    rgb += (size_t)3 * n * last;
    out[last].geometry = geometry[last];
    out[last].rgbw = rgbw[last] | lsm_color(rgb);
}

static void write_pixels(prepare_job *p, band *b, int tile_row, int ring) {
    const lsm_view *v = p->v;
    const int n = v->stride, rows = v->height - tile_row * 4 < 4 ? v->height - tile_row * 4 : 4;
    spread_tiles(p, b, tile_row, ring);
    for (int i = 0; i < rows; i++) {
        const size_t row = (size_t)tile_row * 4 + i, full = row * n * v->full_width;
        const float *depth = b->depth + (ring * 4 + i) * b->stride, *inverse = b->inverse + (ring * 4 + i) * b->stride;
        lsm_pixel *out = p->pixels + row * v->width;
        write_row(v, b, depth, inverse, lsm_off_middle(i), p->z + full, p->confidence + full, p->rgb + 3 * full, out);
        for (int c = 0; p->labels && c < v->width; c++)
            if (depth[c] > 0.0f) __atomic_store_n(&p->present[p->labels[full + (size_t)c * n]], 1, __ATOMIC_RELAXED);
    }
}

static void prepare_band(job *j, int first, int last) {
    prepare_job *p = (prepare_job *)j;
    const int columns = p->v->tile_columns;
    band b;
    b.stride = columns * 4 + 2;
    b.full_stride = p->v->full_width + 2;
    const size_t count = (size_t)b.full_stride * 10 + (size_t)b.stride * (12 + 12 + 12) + 3 * (size_t)(columns + 2);
    float *next = calloc(count, sizeof(float)), *memory = next;
    if (!memory) {
        __atomic_store_n(&p->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    b.raw = next, next += 9 * b.full_stride;
    b.whole = next, next += b.full_stride;
    b.depth = next, next += 12 * b.stride;
    b.inverse = next, next += 12 * b.stride;
    b.sum = next, next += b.stride;
    b.nearest = next, next += b.stride;
    b.slope = next, next += b.stride;
    b.middle = next, next += b.stride;
    b.down = next, next += b.stride;
    b.row_slope = next, next += b.stride;
    b.most = next, next += b.stride;
    b.row_rgbw = (unsigned int *)next, next += b.stride;
    b.row_geometry = (unsigned int *)next, next += b.stride;
    b.row_z = (unsigned short *)next, next += b.stride;
    b.row_confidence = (unsigned char *)next, next += b.stride;
    b.count = (int *)next, next += b.stride;
    b.rho = next;
    read_tiles(p, &b, first - 1, (first + 2) % 3, 0);
    read_tiles(p, &b, first, first % 3, 1);
    for (int row = first; row < last; row++) {
        read_tiles(p, &b, row + 1, (row + 1) % 3, row + 1 < last);
        write_pixels(p, &b, row, row % 3);
    }
    for (int c = 0; c < p->v->width; c++) p->farthest[first] = b.most[c] > p->farthest[first] ? b.most[c] : p->farthest[first];
    free(memory);
}

/* Two rows of tiles, each of an even number of columns, to one of half as many. */
WIDE static void halve_near(const float *restrict a, const float *restrict b, int count, float *restrict out) {
    for (int c = 0; c < count; c++) {
        const float left = lsm_smaller(a[2 * c], b[2 * c]), right = lsm_smaller(a[2 * c + 1], b[2 * c + 1]);
        out[c] = lsm_smaller(left, right);
    }
}

WIDE static void halve_far(const float *restrict a, const float *restrict b, int count, float *restrict out) {
    for (int c = 0; c < count; c++) {
        const float left = a[2 * c] > b[2 * c] ? a[2 * c] : b[2 * c];
        const float right = a[2 * c + 1] > b[2 * c + 1] ? a[2 * c + 1] : b[2 * c + 1];
        out[c] = left > right ? left : right;
    }
}

WIDE static void halve_known(const int *restrict a, const int *restrict b, int count, int *restrict out) {
    for (int c = 0; c < count; c++) out[c] = (a[2 * c] + b[2 * c]) + (a[2 * c + 1] + b[2 * c + 1]);
}

/* Levels above the first one of the pyramid, each tile of four of the level below; of `far` all levels: the largest of the
 * nearest depths in 4x4 pixels, 0 where nothing is known. -1: no memory. */
static int fill_pyramid(const lsm_view *v, float *near, int *known, float *far) {
    int columns = v->tile_columns, rows = v->tile_rows;
    const size_t each = (size_t)columns + 1;
    float *memory = malloc(6 * each * sizeof(float)), *n[2] = {memory, memory + each};
    float *f[2] = {memory + 2 * each, memory + 3 * each};
    int *k[2] = {(int *)(memory + 4 * each), (int *)(memory + 5 * each)};
    if (!memory) return -1;
    for (int i = 0; i < rows * columns; i++) far[i] = known[i] > 0 ? near[i] : 0.0f;
    for (int level = 1; level < v->levels; level++) {
        const int below = v->level_offset[level - 1], here = v->level_offset[level], wide = (columns + 1) / 2;
        for (int r = 0; r < (rows + 1) / 2; r++) {
            for (int i = 0; i < 2; i++) { /* a copy, with what is beyond the edge */
                const int there = 2 * r + i < rows;
                const size_t from = (size_t)below + (size_t)(2 * r + i) * (size_t)columns;
                if (there) {
                    memcpy(n[i], near + from, sizeof(float) * (size_t)columns);
                    memcpy(f[i], far + from, sizeof(float) * (size_t)columns);
                    memcpy(k[i], known + from, sizeof(int) * (size_t)columns);
                }
                for (int c = there ? columns : 0; c < 2 * wide; c++) {
                    n[i][c] = LSM_INFINITY;
                    f[i][c] = 0.0f;
                    k[i][c] = 0;
                }
            }
            halve_near(n[0], n[1], wide, near + here + r * wide);
            halve_far(f[0], f[1], wide, far + here + r * wide);
            halve_known(k[0], k[1], wide, known + here + r * wide);
        }
        columns = wide;
        rows = (rows + 1) / 2;
    }
    free(memory);
    return 0;
}

/* Makes pixels of an observation. near, known, far: its pyramid. labels may be NULL; present (65536) marks the labels seen.
 * -1: no memory. */
EXPORT int lsm_prepare(const lsm_view *v, const unsigned short *z, const unsigned char *confidence, const unsigned char *rgb,
                       const unsigned short *labels, lsm_pixel *pixels, float *near, int *known, float *far,
                       unsigned char *present, float *farthest, int threads) {
    prepare_job p = {.v = v, .z = z, .labels = labels, .confidence = confidence, .rgb = rgb, .pixels = pixels, .near = near,
                     .known = known, .present = present};
    p.farthest = calloc((size_t)v->tile_rows, sizeof(float));
    if (!p.farthest) return -1;
    p.j.work = prepare_band;
    run(&p.j, v->tile_rows, threads > 1 ? v->tile_rows / (2 * threads) + 1 : v->tile_rows, threads);
    *farthest = 0.0f;
    for (int i = 0; i < v->tile_rows; i++) *farthest = p.farthest[i] > *farthest ? p.farthest[i] : *farthest;
    free(p.farthest);
    if (p.failed) return -1;
    return fill_pyramid(v, near, known, far);
}

