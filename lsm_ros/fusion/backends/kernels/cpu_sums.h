/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * What an observation adds to voxels, label cells and features, for cpu.c.
 */
/* ---- sums ---- */

typedef struct {
    job j;
    const lsm_view *v;
    const lsm_pixel *pixels;
    const long long *keys, *slots;
    int *voxels, *labels, *sums;
    const unsigned short *shown;
    const signed char *column_of;
    const signed char *features;
    float (*inside)[LSM_VOXELS];
    int sign;
} sum_job;

#define GROUP 16

/* Voxels of one block. pixel: -1 where none is seen; then distance is beyond all and weight 0. */
typedef struct {
    int pixel[LSM_VOXELS], weight[LSM_VOXELS];
    unsigned int geometry[LSM_VOXELS], rgbw[LSM_VOXELS];
    float depth[LSM_VOXELS], distance[LSM_VOXELS];
} seen_block;

WIDE static void see_block(const sum_job *p, const int *block, seen_block *s) {
    const lsm_view *v = p->v;
    const float sx = lsm_start(v, 0, block), sy = lsm_start(v, 1, block), sz = lsm_start(v, 2, block);
    const float *ix = p->inside[0], *iy = p->inside[1], *iz = p->inside[2];
    const float fx = v->fx, fy = v->fy, cx = v->cx_floor, cy = v->cy_floor;
    const float z_step = v->z_step, steps = v->steps, one_voxel = v->one_voxel, behind = v->behind;
    const int width = v->width, height = v->height;
    for (int i = 0; i < LSM_VOXELS; i++) {
        s->depth[i] = sz + iz[i];
        s->pixel[i] = lsm_project(fx, fy, cx, cy, width, height, sx + ix[i], sy + iy[i], s->depth[i]);
    }
    for (int i = 0; i < LSM_VOXELS; i++) {
        const lsm_pixel *q = p->pixels + (s->pixel[i] < 0 ? 0 : s->pixel[i]);
        s->geometry[i] = q->geometry;
        s->rgbw[i] = q->rgbw;
    }
    for (int i = 0; i < LSM_VOXELS; i++) {
        float d = lsm_distance(steps, z_step, s->geometry[i], s->depth[i]);
        int w = lsm_weight_of(s->rgbw[i]);
        int kept = (s->pixel[i] >= 0) & lsm_counts(w, d);
        d = kept ? d : 2.0f * LSM_STEPS;
        w = lsm_voxel_weight(one_voxel, behind, w, d);
        s->distance[i] = d;
        s->weight[i] = kept ? w : 0;
    }
}

/* Adds to six columns of 512 voxels each; what nobody saw near a surface has no colour. */
WIDE static void sum_block(const seen_block *s, int *sums, int sign) {
    for (int g = 0; g < LSM_VOXELS; g += GROUP) {
        const int *weight = s->weight + g;
        const unsigned int *rgbw = s->rgbw + g;
        const float *distance = s->distance + g;
        int any = 0, near[GROUP], any_near = 0;
        for (int i = 0; i < GROUP; i++) any |= weight[i];
        if (!any) continue;
        int *sdf = sums + LSM_SDF * LSM_VOXELS + g, *total = sums + LSM_WEIGHT * LSM_VOXELS + g;
        for (int i = 0; i < GROUP; i++) {
            int w = weight[i] * sign;
            sdf[i] += lsm_steps(distance[i]) * w;
            total[i] += w;
            near[i] = lsm_has_color(distance[i]) ? w : 0;
        }
        for (int i = 0; i < GROUP; i++) any_near |= near[i];
        if (!any_near) continue;
        int *red = sums + LSM_RED * LSM_VOXELS + g, *green = sums + LSM_GREEN * LSM_VOXELS + g;
        int *blue = sums + LSM_BLUE * LSM_VOXELS + g, *known = sums + LSM_NEAR * LSM_VOXELS + g;
        for (int i = 0; i < GROUP; i++) {
            red[i] += lsm_channel(rgbw[i], 0) * near[i];
            green[i] += lsm_channel(rgbw[i], 1) * near[i];
            blue[i] += lsm_channel(rgbw[i], 2) * near[i];
            known[i] += near[i];
        }
    }
}

static void sum_labels(const sum_job *p, const seen_block *s, int *counts) {
    const int width = p->v->label_width;
    const float one_voxel = p->v->one_voxel;
    for (int i = 0; i < LSM_VOXELS; i++) {
        if (!(s->weight[i] > 0) || !lsm_on_surface(s->distance[i], one_voxel)) continue;
        int column = p->column_of[p->shown[s->pixel[i]]], cell = lsm_label_cell(i);
        if (column >= 0) counts[cell * width + column] += s->weight[i] * p->sign;
    }
}

WIDE static void add_code(int *sums, unsigned long long code, int weight) {
    for (int d = 0; d < LSM_CODE; d++) sums[d] += lsm_signed(code, d, weight);
    sums[LSM_CODE] += weight;
}

/* Voxels of a cell mostly show the same label: its code is added once. */
static void sum_codes(const sum_job *p, const seen_block *s, int *sums) {
    for (int cell = 0; cell < LSM_CELLS; cell++, sums += LSM_CODE + 1) {
        const int corner = (cell >> 4) << 7 | (cell >> 2 & 3) << 4 | (cell & 3) << 1;
        unsigned int label = LSM_UNLABELLED;
        int weight = 0;
        for (int k = 0; k < 8; k++) {
            const int i = corner | (k & 4) << 4 | (k & 2) << 2 | (k & 1);
            if (!(s->weight[i] > 0) || !lsm_on_surface(s->distance[i], p->v->one_voxel)) continue;
            const unsigned int here = p->shown[s->pixel[i]];
            if (here == LSM_UNLABELLED) continue;
            if (here != label && weight) add_code(sums, lsm_code(label), weight * p->sign);
            weight = here == label ? weight + s->weight[i] : s->weight[i];
            label = here;
        }
        if (weight) add_code(sums, lsm_code(label), weight * p->sign);
    }
}

WIDE static void sum_features(const sum_job *p, int n) {
    const lsm_view *v = p->v;
    const int dim = v->feature_dim;
    int block[3];
    lsm_unpack(p->keys[n], block);
    int *sums = p->sums + p->slots[n] * LSM_CELLS * (dim + 1);
    for (int cell = 0; cell < LSM_CELLS; cell++, sums += dim + 1) {
        int pixel;
        const int weight = lsm_feature_weight(v, p->pixels, block, cell, &pixel) * p->sign;
        if (!weight) continue;
        const signed char *f = p->features + (size_t)lsm_feature_row(v, pixel) * dim;
        for (int d = 0; d < dim; d++) sums[d] += f[d] * weight;
        sums[dim] += weight;
    }
}

static void sum_blocks(job *j, int first, int last) {
    const sum_job *p = (const sum_job *)j;
    for (int n = first; n < last; n++) {
        seen_block seen;
        int block[3];
        lsm_unpack(p->keys[n], block);
        if (p->voxels || p->labels) see_block(p, block, &seen);
        if (p->voxels) sum_block(&seen, p->voxels + lsm_first_sum(p->slots[n]), p->sign);
        int *labels = p->labels ? p->labels + p->slots[n] * LSM_CELLS * p->v->label_width : NULL;
        if (labels && p->column_of) sum_labels(p, &seen, labels);
        if (labels && !p->column_of) sum_codes(p, &seen, labels);
        if (p->sums) sum_features(p, n);
    }
}

/* Adds (sign 1) or takes away (-1) what an observation says of blocks; each slot appears once. voxels, labels, sums
 * (of features) may be NULL. shown: label of each pixel; column_of: column of each label id, -1 for none;
 * NULL if the codes of labels are summed. */
EXPORT void lsm_sum(const lsm_view *v, const lsm_pixel *pixels, const long long *keys, const long long *slots, int count,
                    int *voxels, int *labels, const unsigned short *shown, const signed char *column_of, int *sums,
                    const signed char *features, int sign, int threads) {
    float inside[3][LSM_VOXELS];
    for (int axis = 0; axis < 3; axis++)
        for (int i = 0; i < LSM_VOXELS; i++)
            inside[axis][i] = lsm_inside(v, axis, lsm_place(i, 0), lsm_place(i, 1), lsm_place(i, 2));
    sum_job p = {.v = v, .pixels = pixels, .keys = keys, .slots = slots, .voxels = voxels, .labels = labels, .sums = sums,
                 .shown = shown, .column_of = column_of, .features = features, .inside = inside, .sign = sign};
    p.j.work = sum_blocks;
    run(&p.j, count, 16, threads);
}

