/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * Free space, for cpu.c.
 */
/* ---- free space ---- */

typedef struct {
    job j;
    const lsm_view *v;
    const float *near, *far, *axes[3];
    const int *known;
    const int *blocks;
    unsigned char *weights, *used;
} free_job;

/* Number of the tile at a place, the nearest one there is. */
static int tile_at(float place, int tile, int count) {
    const float at = place / (float)tile;
    return at > 0.0f ? at < (float)(count - 1) ? (int)at : count - 1 : 0;
}

/* Whether any cell of a block may be free: whether the block reaches into the view, and in front of something that is
 * known there. axis: see free_block. */
static int may_be_free(const free_job *p, const float *axis[3][3]) {
    const lsm_view *v = p->v;
    const float right = (float)(v->width - 1) - v->cx, bottom = (float)(v->height - 1) - v->cy;
    const float per_depth = (lsm_abs(v->cx) + lsm_abs(v->cy)) + (lsm_abs(right) + lsm_abs(bottom));
    float low = LSM_INFINITY, high = -LSM_INFINITY, most[4] = {-LSM_INFINITY, -LSM_INFINITY, -LSM_INFINITY, -LSM_INFINITY};
    float left = LSM_INFINITY, top = LSM_INFINITY, end = -LSM_INFINITY, ground = -LSM_INFINITY, size = 0.0f;
    for (int corner = 0; corner < 8; corner++) {
        const int i = corner & 1 ? 7 : 0, j = corner & 2 ? 7 : 0, k = corner & 4 ? 7 : 0;
        const float x = lsm_center(axis[0][0][i], axis[1][0][j], axis[2][0][k]) * v->fx;
        const float y = lsm_center(axis[0][1][i], axis[1][1][j], axis[2][1][k]) * v->fy;
        const float z = lsm_center(axis[0][2][i], axis[1][2][j], axis[2][2][k]), inverse = 1.0f / z;
        const float inside[4] = {x + v->cx * z, right * z - x, y + v->cy * z, bottom * z - y}; /* of the view: all positive */
        for (int side = 0; side < 4; side++) most[side] = inside[side] > most[side] ? inside[side] : most[side];
        const float far_off = lsm_abs(x) + lsm_abs(y) + lsm_abs(z) * per_depth;
        size = far_off > size ? far_off : size;
        low = z < low ? z : low;
        high = z > high ? z : high;
        left = x * inverse < left ? x * inverse : left;
        end = x * inverse > end ? x * inverse : end;
        top = y * inverse < top ? y * inverse : top;
        ground = y * inverse > ground ? y * inverse : ground;
    }
    if (high <= v->cell_radius || low > v->cell_reach) return 0; /* depth is monotonous along each axis */
    for (int side = 0; side < 4; side++)
        if (most[side] < -1e-4f * size) return 0; /* with room for what is rounded */
    if (low <= v->cell_radius) return 1;
    const int level = lsm_level(v, 2.0f * (v->cell_radius / low) * v->largest_f), tile = lsm_tile_width(level);
    const int columns = lsm_tiles(v->width, tile), rows = lsm_tiles(v->height, tile);
    const float *far = p->far + v->level_offset[level], limit = lsm_free_limit(v, low);
    const int c0 = tile_at(left + v->cx - 1.0f, tile, columns), c1 = tile_at(end + v->cx + 1.0f, tile, columns);
    const int r0 = tile_at(top + v->cy - 1.0f, tile, rows), r1 = tile_at(ground + v->cy + 1.0f, tile, rows);
    for (int r = r0; r <= r1; r++)
        for (int c = c0; c <= c1; c++)
            if (far[r * columns + c] > limit) return 1;
    return 0;
}

WIDE static void free_block(const free_job *p, int n) {
    const lsm_view *v = p->v;
    int b[3];
    lsm_box_place(n, p->blocks[1], p->blocks[2], b);
    const float *axis[3][3]; /* [map axis][camera axis]: the cells' share of a camera coordinate */
    for (int a = 0; a < 3; a++)
        for (int m = 0; m < 3; m++) axis[a][m] = p->axes[a] + ((size_t)m * p->blocks[a] + b[a]) * LSM_BLOCK;
    if (!may_be_free(p, axis)) return;
    unsigned char *out = p->weights + (size_t)n * LSM_VOXELS, used = 0;
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            const float x0 = axis[0][0][i], y0 = axis[0][1][i], z0 = axis[0][2][i];
            const float x1 = axis[1][0][j], y1 = axis[1][1][j], z1 = axis[1][2][j];
            float z[8], u[8], w[8], inverse[8];
            int seen[8], any = 0;
            for (int k = 0; k < 8; k++) {
                const float x = lsm_center(x0, x1, axis[2][0][k]), y = lsm_center(y0, y1, axis[2][1][k]);
                z[k] = lsm_center(z0, z1, axis[2][2][k]);
                seen[k] = lsm_center_seen(v, x, y, z[k], u + k, w + k, inverse + k);
                any |= seen[k];
            }
            if (!any) continue;
            for (int k = 0; k < 8; k++)
                if (seen[k]) {
                    unsigned char weight = (unsigned char)lsm_free(v, p->near, p->known, z[k], u[k], w[k], inverse[k]);
                    out[(i * 8 + j) * 8 + k] = weight;
                    used |= weight;
                }
        }
    p->used[n] = used != 0;
}

static void free_blocks(job *j, int first, int last) {
    for (int n = first; n < last; n++) free_block((const free_job *)j, n);
}

/* Weights (blocks, 512) that see cells empty, of the box of `blocks` (3) blocks of cells; zero before. axes[a]: the three
 * camera coordinates' shares (3, 8 * blocks[a]) along map axis a. used: blocks with any. */
EXPORT void lsm_free_cells(const lsm_view *v, const float *near, const int *known, const float *far, const float *x,
                           const float *y, const float *z, const int *blocks, unsigned char *weights, unsigned char *used,
                           int threads) {
    free_job p = {.v = v, .near = near, .known = known, .far = far, .axes = {x, y, z}, .blocks = blocks, .weights = weights,
                  .used = used};
    p.j.work = free_blocks;
    run(&p.j, blocks[0] * blocks[1] * blocks[2], 4, threads);
}

/* cells[slots[n]] += sign * weights[rows[n]] for whole blocks. */
EXPORT void lsm_free_sum(int *cells, const long long *slots, const long long *rows, int count, const unsigned char *weights,
                         int sign) {
    for (int n = 0; n < count; n++) {
        int *to = cells + slots[n] * LSM_VOXELS;
        const unsigned char *from = weights + rows[n] * LSM_VOXELS;
        for (int i = 0; i < LSM_VOXELS; i++) to[i] += sign * from[i];
    }
}

