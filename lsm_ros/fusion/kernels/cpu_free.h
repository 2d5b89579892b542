/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * Free space, for cpu.c.
 */
/* ---- free space ---- */

typedef struct {
    job j;
    const lsm_view *v;
    const float *near, *axes[3];
    const int *known;
    const int *blocks;
    unsigned char *weights, *used;
} free_job;

WIDE static void free_block(const free_job *p, int n) {
    const lsm_view *v = p->v;
    const int b[3] = {n / (p->blocks[1] * p->blocks[2]), n / p->blocks[2] % p->blocks[1], n % p->blocks[2]};
    const float *axis[3][3]; /* [map axis][camera axis]: the cells' share of a camera coordinate */
    for (int a = 0; a < 3; a++)
        for (int m = 0; m < 3; m++) axis[a][m] = p->axes[a] + ((size_t)m * p->blocks[a] + b[a]) * LSM_BLOCK;
    float low = LSM_INFINITY, high = -LSM_INFINITY;
    for (int corner = 0; corner < 8; corner++) {
        float z = (axis[0][2][corner & 1 ? 7 : 0] + axis[1][2][corner & 2 ? 7 : 0]) + axis[2][2][corner & 4 ? 7 : 0];
        low = z < low ? z : low;
        high = z > high ? z : high;
    }
    if (high <= 0.0f || low > v->cell_reach * 1.001f) return; /* depth is monotonous along each axis */
    unsigned char *out = p->weights + (size_t)n * LSM_VOXELS, used = 0;
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            float x[8], y[8], z[8], xy = axis[0][0][i] + axis[1][0][j];
            const float yy = axis[0][1][i] + axis[1][1][j], zz = axis[0][2][i] + axis[1][2][j];
            int inside[8], any = 0;
            for (int k = 0; k < 8; k++) {
                x[k] = xy + axis[2][0][k];
                y[k] = yy + axis[2][1][k];
                z[k] = zz + axis[2][2][k];
                /* as in lsm_free, so that what it would refuse at once is not asked */
                int front = (z[k] > v->cell_radius) & (z[k] <= v->cell_reach);
                float inverse = 1.0f / (front ? z[k] : 1.0f);
                float u = (x[k] * inverse) * v->fx + v->cx, w = (y[k] * inverse) * v->fy + v->cy;
                inside[k] = front & (u >= 0.0f) & (u <= (float)(v->width - 1)) & (w >= 0.0f) & (w <= (float)(v->height - 1));
                any |= inside[k];
            }
            if (!any) continue;
            for (int k = 0; k < 8; k++)
                if (inside[k]) {
                    unsigned char weight = (unsigned char)lsm_free(v, p->near, p->known, x[k], y[k], z[k]);
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
EXPORT void lsm_free_cells(const lsm_view *v, const float *near, const int *known, const float *x, const float *y,
                           const float *z, const int *blocks, unsigned char *weights, unsigned char *used, int threads) {
    free_job p = {.v = v, .near = near, .known = known, .axes = {x, y, z}, .blocks = blocks, .weights = weights, .used = used};
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

