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

static void find_blocks(job *j, int first, int last) {
    block_job *p = (block_job *)j;
    const lsm_view *v = p->v;
    const float *R = v->rotation;
    key_set *set = &p->sets[first / p->chunk];
    int failed = grow_set(set, 4096), outside = 0;
    for (int r = first; r < last && !failed; r++) {
        const int row = r * v->step;
        const lsm_pixel *pixel = p->pixels + (size_t)row * v->width;
        const float y = ((float)row - v->cy) * v->inverse_fy;
        long long before[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
        for (int c = 0; c < v->width; c += v->step) {
            const float z = lsm_depth(pixel[c].geometry, v->z_step);
            if (!(z > 0.0f)) continue;
            const float x = ((float)c - v->cx) * v->inverse_fx;
            const float dx = (R[0] * x + R[1] * y) + R[2], dy = (R[3] * x + R[4] * y) + R[5];
            const float dz = (R[6] * x + R[7] * y) + R[8];
            for (int s = 0; s < v->samples; s++) {
                const float along = v->scale * z + v->offsets[s];
                if (!(along > 0.0f)) continue;
                const long long key = lsm_block_at(v, dx, dy, dz, along);
                outside |= key < 0;
                if (key == before[s] || key < 0) continue; /* neighbours in a row mostly hit the same block */
                before[s] = key;
                failed |= put(set, key);
            }
        }
    }
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
