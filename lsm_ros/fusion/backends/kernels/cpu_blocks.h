/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * Which blocks lie near surfaces, and the index from their keys to slots, for cpu.c.
 */
/* ---- blocks near surfaces: each thread has a set of its own ---- */

typedef struct {
    long long *keys;
    unsigned int mask, count;
} key_set;

static int grow_set(key_set *s, unsigned int size) {
    key_set old = *s;
    s->keys = malloc(size * sizeof(long long));
    if (!s->keys) {
        s->keys = old.keys;
        return -1;
    }
    memset(s->keys, 0xff, size * sizeof(long long));
    s->mask = size - 1;
    for (unsigned int i = 0; old.keys && i <= old.mask; i++) {
        if (old.keys[i] < 0) continue;
        unsigned int h = lsm_hash(old.keys[i]) & s->mask;
        while (s->keys[h] >= 0) h = (h + 1) & s->mask;
        s->keys[h] = old.keys[i];
    }
    free(old.keys);
    return 0;
}

static int put(key_set *s, long long key) {
    unsigned int h = lsm_hash(key) & s->mask;
    while (s->keys[h] >= 0) {
        if (s->keys[h] == key) return 0;
        h = (h + 1) & s->mask;
    }
    s->keys[h] = key;
    s->count++;
    return 2 * s->count > s->mask ? grow_set(s, 2 * (s->mask + 1)) : 0;
}

typedef struct {
    job j;
    const lsm_view *v;
    const lsm_pixel *pixels;
    key_set *sets; /* one for each chunk */
    int chunk, outside, failed;
} block_job;

/* The rays of a row: depth and direction, and for each sample the blocks, at first those of the row before. */
typedef struct {
    float *z, *direction[3];
    int *block[8][3];
    unsigned char *fresh;
} ray_row;

/* Memory for rows of `count` rays, to be freed. NULL if there is none. */
static float *make_rays(ray_row *r, int count, int samples) {
    const size_t each = (size_t)count + 1; /* the blocks have one more before them, which is none */
    float *memory = calloc(each * (size_t)(5 + 3 * samples), sizeof(float)), *next = memory;
    if (!memory) return NULL;
    r->z = next;
    for (int a = 0; a < 3; a++) r->direction[a] = next += each;
    r->fresh = (unsigned char *)(next += each);
    for (int s = 0; s < samples; s++)
        for (int a = 0; a < 3; a++) r->block[s][a] = (int *)(next += each) + 1;
    for (int s = 0; s < samples; s++)
        for (int i = -1; i < count; i++) r->block[s][0][i] = LSM_HALF;
    return memory;
}

WIDE static void read_rays(const lsm_view *v, const lsm_pixel *pixel, int row, int count, const ray_row *r) {
    const float y = lsm_ray(row, v->cy, v->inverse_fy), cx = v->cx, inverse_fx = v->inverse_fx, z_step = v->z_step;
    const int step = v->step;
    float R[9];
    memcpy(R, v->rotation, sizeof R);
    float *restrict z = r->z;
    float *restrict dx = r->direction[0], *restrict dy = r->direction[1], *restrict dz = r->direction[2];
    for (int i = 0; i < count; i++) z[i] = lsm_depth(pixel[i * step].geometry, z_step);
    for (int i = 0; i < count; i++) {
        const float x = lsm_ray(i * step, cx, inverse_fx);
        dx[i] = lsm_direction(R, x, y);
        dy[i] = lsm_direction(R + 3, x, y);
        dz[i] = lsm_direction(R + 6, x, y);
    }
}

/* Where on each ray sample s lies, and whether in another block than on the ray beside and on the one above it: else the
 * block is known. Returns whether any is outside of the world. */
WIDE static int place_samples(const lsm_view *v, int s, int count, const ray_row *r) {
    const float scale = v->scale, offset = v->offsets[s], f0 = v->fraction[0], f1 = v->fraction[1], f2 = v->fraction[2];
    const int b0 = v->base[0], b1 = v->base[1], b2 = v->base[2];
    const float *restrict z = r->z, *restrict dx = r->direction[0], *restrict dy = r->direction[1];
    const float *restrict dz = r->direction[2];
    int *restrict x = r->block[s][0], *restrict y = r->block[s][1], *restrict w = r->block[s][2];
    unsigned char *restrict fresh = r->fresh;
    int outside = 0;
    for (int i = 0; i < count; i++) {
        const float along = lsm_along(scale, z[i], offset);
        const int used = (z[i] > 0.0f) & (along > 0.0f);
        const int p = lsm_block_index(dx[i], along, f0, b0), q = lsm_block_index(dy[i], along, f1, b1);
        const int t = lsm_block_index(dz[i], along, f2, b2);
        outside |= used & !lsm_in_world(p, q, t);
        fresh[i] = used & ((p != x[i]) | (q != y[i]) | (t != w[i]));
        x[i] = used ? p : LSM_HALF; /* what is no block is none that a ray lies in */
        y[i] = q;
        w[i] = t;
    }
    for (int i = 0; i < count; i++) fresh[i] &= (x[i] != x[i - 1]) | (y[i] != y[i - 1]) | (w[i] != w[i - 1]);
    return outside;
}

static void find_blocks(job *j, int first, int last) {
    block_job *p = (block_job *)j;
    const lsm_view *v = p->v;
    const int count = (v->width + v->step - 1) / v->step;
    key_set *set = &p->sets[first / p->chunk];
    ray_row r;
    float *memory = make_rays(&r, count, v->samples);
    int failed = !memory || grow_set(set, 4096), outside = 0;
    for (int row = first; row < last && !failed && !outside; row++) {
        read_rays(v, p->pixels + (size_t)row * v->step * v->width, row * v->step, count, &r);
        for (int s = 0; s < v->samples && !outside; s++) {
            int *const *block = r.block[s];
            outside = place_samples(v, s, count, &r);
            for (int i = 0; i < count && !outside; i++)
                if (r.fresh[i]) failed |= put(set, lsm_pack(block[0][i], block[1][i], block[2][i]));
        }
    }
    free(memory);
    if (failed) __atomic_store_n(&p->failed, 1, __ATOMIC_RELAXED);
    if (outside) __atomic_store_n(&p->outside, 1, __ATOMIC_RELAXED);
}

/* Keys of blocks near surfaces, in no order and some twice. Returns how many there are, which may be more than were
 * written; -1: no memory; -2: a block is beyond the edge of the world. */
EXPORT long long lsm_surface_blocks(const lsm_view *v, const lsm_pixel *pixels, long long *out, long long capacity,
                                    int threads) {
    const int rows = (v->height + v->step - 1) / v->step;
    block_job p = {.v = v, .pixels = pixels};
    p.chunk = threads > 1 ? rows / (2 * threads) + 1 : rows;
    const int chunks = (rows + p.chunk - 1) / p.chunk;
    p.sets = calloc((size_t)chunks, sizeof(key_set));
    if (!p.sets) return -1;
    p.j.work = find_blocks;
    run(&p.j, rows, p.chunk, threads);
    long long total = 0;
    for (int i = 0; i < chunks; i++) {
        for (unsigned int k = 0; p.sets[i].keys && k <= p.sets[i].mask; k++)
            if (p.sets[i].keys[k] >= 0) {
                if (total < capacity) out[total] = p.sets[i].keys[k];
                total++;
            }
        free(p.sets[i].keys);
    }
    free(p.sets);
    return p.failed ? -1 : p.outside ? -2 : total;
}

/* ---- hash from keys to slots: keys and values of size mask + 1, a power of two; -1 marks an empty place ---- */

EXPORT void lsm_find(const long long *table, const int *values, unsigned int mask, const long long *keys, long long count,
                     long long *out) {
    for (long long n = 0; n < count; n++) {
        unsigned int h = lsm_hash(keys[n]) & mask;
        while (table[h] >= 0 && table[h] != keys[n]) h = (h + 1) & mask;
        out[n] = table[h] >= 0 ? values[h] : -1;
    }
}

/* Inserts keys that are not there. */
EXPORT void lsm_insert(long long *table, int *values, unsigned int mask, const long long *keys, const long long *slots,
                       long long count) {
    for (long long n = 0; n < count; n++) {
        unsigned int h = lsm_hash(keys[n]) & mask;
        while (table[h] >= 0) h = (h + 1) & mask;
        table[h] = keys[n];
        values[h] = (int)slots[n];
    }
}

/* Erases keys that are there; what follows is moved up, so that no marks of the erased stay. */
EXPORT void lsm_erase(long long *table, int *values, unsigned int mask, const long long *keys, long long count) {
    for (long long n = 0; n < count; n++) {
        unsigned int h = lsm_hash(keys[n]) & mask;
        while (table[h] != keys[n]) h = (h + 1) & mask;
        for (unsigned int next = (h + 1) & mask; table[next] >= 0; next = (next + 1) & mask) {
            unsigned int home = lsm_hash(table[next]) & mask;
            if (((next - home) & mask) < ((next - h) & mask)) continue;
            table[h] = table[next];
            values[h] = values[next];
            h = next;
        }
        table[h] = -1;
    }
}
