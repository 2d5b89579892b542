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

WIDE static void raw_row(const lsm_view *v, const unsigned short *z, const unsigned char *confidence, int row, float *out) {
    const float z_step = v->z_step, max_depth = v->max_depth;
    const int width = v->width, n = v->stride;
    if (row < 0 || row >= v->height) {
        memset(out, 0, sizeof(float) * (size_t)width);
        return;
    }
    z += (size_t)row * n * v->full_width;
    confidence += (size_t)row * n * v->full_width;
    if (n == 1)
        for (int c = 0; c < width; c++) out[c] = lsm_raw_depth(z_step, max_depth, z[c], confidence[c]);
    else
        for (int c = 0; c < width; c++) out[c] = lsm_raw_depth(z_step, max_depth, z[c * n], confidence[c * n]);
}

/* Depth without what hangs in the air, and its inverse. Rows have a zero before and after them. */
WIDE static void clean_row(const float *up, const float *raw, const float *down, int width, float *depth, float *inverse) {
    for (int c = 0; c < width; c++) {
        float d = raw[c];
        int hangs = lsm_hangs(d, raw[c - 1], raw[c + 1]) | lsm_hangs(d, up[c], down[c]);
        d = hangs ? 0.0f : d;
        depth[c] = d;
        inverse[c] = lsm_inverse(d);
    }
}

typedef struct {
    float *raw, *depth, *inverse, *rho; /* 6, 12, 12 rows of pixels, 3 rows of tiles */
    float *sum, *nearest;
    float *slope, *middle, *down, *row_slope, *most;
    unsigned int *row_rgbw, *row_geometry;
    int *count;
    int stride;
} band;

/* Reads the four rows of a row of tiles into place `ring` of the band; only the band it belongs to keeps its pyramid. */
WIDE static void read_tiles(prepare_job *p, band *b, int tile_row, int ring, int keep) {
    const lsm_view *v = p->v;
    const int width = v->width, columns = v->tile_columns, stride = b->stride;
    float *depth = b->depth + ring * 4 * stride, *inverse = b->inverse + ring * 4 * stride;
    float *rho = b->rho + ring * (columns + 2) + 1;
    if (tile_row < 0 || tile_row >= v->tile_rows) {
        memset(rho, 0, sizeof(float) * (size_t)columns);
        return;
    }
    for (int i = 0; i < 6; i++) raw_row(v, p->z, p->confidence, tile_row * 4 - 1 + i, b->raw + i * stride + 1);
    for (int i = 0; i < 4; i++) {
        const float *raw = b->raw + (i + 1) * stride + 1;
        clean_row(raw - stride, raw, raw + stride, width, depth + i * stride, inverse + i * stride);
    }
    for (int c = 0; c < columns * 4; c++) {
        const float *q = inverse + c, *d = depth + c;
        b->sum[c] = ((q[0] + q[stride]) + q[2 * stride]) + q[3 * stride];
        float d0 = d[0] > 0.0f ? d[0] : LSM_INFINITY, d1 = d[stride] > 0.0f ? d[stride] : LSM_INFINITY;
        float d2 = d[2 * stride] > 0.0f ? d[2 * stride] : LSM_INFINITY;
        float d3 = d[3 * stride] > 0.0f ? d[3 * stride] : LSM_INFINITY;
        float first = d0 < d1 ? d0 : d1, last = d2 < d3 ? d2 : d3;
        b->nearest[c] = first < last ? first : last;
        b->count[c] = (d[0] > 0.0f) + (d[stride] > 0.0f) + (d[2 * stride] > 0.0f) + (d[3 * stride] > 0.0f);
    }
    float *near = p->near + (size_t)tile_row * columns;
    int *known = p->known + (size_t)tile_row * columns;
    for (int t = 0; t < columns; t++) {
        const float *s = b->sum + 4 * t, *n = b->nearest + 4 * t;
        const int *k = b->count + 4 * t;
        int count = (k[0] + k[1]) + (k[2] + k[3]);
        float left = n[0] < n[1] ? n[0] : n[1], right = n[2] < n[3] ? n[2] : n[3];
        rho[t] = lsm_tile_mean((s[0] + s[1]) + (s[2] + s[3]), count);
        if (!keep) continue;
        near[t] = left < right ? left : right;
        known[t] = count;
    }
}

/* Slope and gradient of each tile of a row, spread over its pixels: what is expected of the inverse depth in the tile's
 * middle row, and how it changes from row to row. */
WIDE static void spread_tiles(prepare_job *p, band *b, int tile_row, int ring) {
    const float fx = p->v->fx, fy = p->v->fy, tile_cx = p->v->tile_cx;
    const float middle_y = (float)(tile_row * LSM_TILE) + p->v->tile_cy;
    const int columns = p->v->tile_columns;
    const float *rho = b->rho + ring * (columns + 2) + 1;
    const float *above = b->rho + (ring + 2) % 3 * (columns + 2) + 1, *below = b->rho + (ring + 1) % 3 * (columns + 2) + 1;
    float *restrict du = b->sum, *restrict dv = b->nearest, *restrict slope = b->row_slope; /* free at this time */
    for (int t = 0; t < columns; t++) {
        float u = lsm_gradient(rho[t - 1], rho[t], rho[t + 1]), w = lsm_gradient(above[t], rho[t], below[t]);
        u = rho[t] > 0.0f ? u : 0.0f;
        w = rho[t] > 0.0f ? w : 0.0f;
        float tile = lsm_tile_slope(fx, fy, (float)(t * LSM_TILE) + tile_cx, middle_y, rho[t], u, w);
        slope[t] = rho[t] > 0.0f ? tile : 1.0f;
        du[t] = u;
        dv[t] = w;
    }
    for (int t = 0; t < columns; t++) {
        float *restrict each = b->slope + 4 * t, *restrict middle = b->middle + 4 * t, *restrict down = b->down + 4 * t;
        each[0] = each[1] = each[2] = each[3] = slope[t];
        down[0] = down[1] = down[2] = down[3] = dv[t];
        middle[0] = rho[t] + -1.5f * du[t];
        middle[1] = rho[t] + -0.5f * du[t];
        middle[2] = rho[t] + 0.5f * du[t];
        middle[3] = rho[t] + 1.5f * du[t];
    }
}

WIDE static void write_row(const lsm_view *v, const band *b, const float *depth, const float *inverse, float down,
                           const unsigned short *z, const unsigned char *confidence, const unsigned char *rgb,
                           lsm_pixel *out) {
    const int width = v->width, n = v->stride;
    const float quality = v->quality;
    float *most = b->most;
    unsigned int *geometry = b->row_geometry;
    unsigned int *rgbw = b->row_rgbw;
    for (int c = 0; c < width; c++) {
        float slope = lsm_pixel_slope(inverse[c], b->middle[c] + down * b->down[c], b->slope[c]);
        geometry[c] = lsm_geometry(0, slope);
        most[c] = depth[c] > most[c] ? depth[c] : most[c];
    }
    if (n == 1)
        for (int c = 0; c < width; c++) {
            int weight = lsm_weight(quality, (float)confidence[c], inverse[c]);
            rgbw[c] = (unsigned int)(depth[c] > 0.0f ? weight : 0) << 24;
        }
    else
        for (int c = 0; c < width; c++) {
            int weight = lsm_weight(quality, (float)confidence[c * n], inverse[c]);
            rgbw[c] = (unsigned int)(depth[c] > 0.0f ? weight : 0) << 24;
        }
    if (n == 1)
        for (int c = 0; c < width; c++)
            rgbw[c] |= rgb[3 * c] | (unsigned int)rgb[3 * c + 1] << 8 | (unsigned int)rgb[3 * c + 2] << 16;
    else
        for (int c = 0; c < width; c++)
            rgbw[c] |= rgb[3 * c * n] | (unsigned int)rgb[3 * c * n + 1] << 8 | (unsigned int)rgb[3 * c * n + 2] << 16;
    if (n == 1)
        for (int c = 0; c < width; c++) geometry[c] |= (unsigned int)z[c] & -(unsigned int)(depth[c] > 0.0f);
    else
        for (int c = 0; c < width; c++) geometry[c] |= (unsigned int)z[c * n] & -(unsigned int)(depth[c] > 0.0f);
    for (int c = 0; c < width; c++) {
        out[c].geometry = geometry[c];
        out[c].rgbw = rgbw[c];
    }
}

static void write_pixels(prepare_job *p, band *b, int tile_row, int ring) {
    const lsm_view *v = p->v;
    const int n = v->stride, rows = v->height - tile_row * 4 < 4 ? v->height - tile_row * 4 : 4;
    spread_tiles(p, b, tile_row, ring);
    for (int i = 0; i < rows; i++) {
        const size_t row = (size_t)tile_row * 4 + i, full = row * n * v->full_width;
        const float *depth = b->depth + (ring * 4 + i) * b->stride, *inverse = b->inverse + (ring * 4 + i) * b->stride;
        lsm_pixel *out = p->pixels + row * v->width;
        write_row(v, b, depth, inverse, (float)i - 1.5f, p->z + full, p->confidence + full, p->rgb + 3 * full, out);
        for (int c = 0; p->labels && c < v->width; c++)
            if (depth[c] > 0.0f) __atomic_store_n(&p->present[p->labels[full + (size_t)c * n]], 1, __ATOMIC_RELAXED);
    }
}

static void prepare_band(job *j, int first, int last) {
    prepare_job *p = (prepare_job *)j;
    const int columns = p->v->tile_columns;
    band b;
    b.stride = columns * 4 + 2;
    float *next = calloc((size_t)b.stride * (6 + 12 + 12 + 10) + 3 * (size_t)(columns + 2), sizeof(float)), *memory = next;
    if (!memory) {
        __atomic_store_n(&p->failed, 1, __ATOMIC_RELAXED);
        return;
    }
    b.raw = next, next += 6 * b.stride;
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

/* Levels above the first one of the pyramid: each tile of four of the level below. */
static void fill_pyramid(const lsm_view *v, float *near, int *known) {
    int columns = v->tile_columns, rows = v->tile_rows;
    for (int level = 1; level < v->levels; level++) {
        const float *n = near + v->level_offset[level - 1];
        const int *k = known + v->level_offset[level - 1];
        float *best = near + v->level_offset[level];
        int *count = known + v->level_offset[level];
        const int wide = (columns + 1) / 2, tall = (rows + 1) / 2;
        for (int r = 0; r < tall; r++)
            for (int c = 0; c < wide; c++) {
                float nearest = LSM_INFINITY;
                int total = 0;
                for (int i = 2 * r; i < rows && i < 2 * r + 2; i++)
                    for (int j = 2 * c; j < columns && j < 2 * c + 2; j++) {
                        nearest = n[i * columns + j] < nearest ? n[i * columns + j] : nearest;
                        total += k[i * columns + j];
                    }
                best[r * wide + c] = nearest;
                count[r * wide + c] = total;
            }
        columns = wide;
        rows = tall;
    }
}

/* Makes pixels of an observation. labels may be NULL; present (65536) marks the labels seen. -1: no memory. */
EXPORT int lsm_prepare(const lsm_view *v, const unsigned short *z, const unsigned char *confidence, const unsigned char *rgb,
                       const unsigned short *labels, lsm_pixel *pixels, float *near, int *known, unsigned char *present,
                       float *farthest, int threads) {
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
    fill_pyramid(v, near, known);
    return 0;
}

