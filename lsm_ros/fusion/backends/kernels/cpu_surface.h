/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * Reading the surface, for cpu.c: first which voxels are on it, then where in them.
 */
typedef struct {
    job j;
    const int *voxels;
    const long long *slots, *neighbours, *items;
    float unit, *distance, *slope;
    int least;
    unsigned char *flags;
} surface_job;

static void flag_blocks(job *j, int first, int last) {
    const surface_job *p = (const surface_job *)j;
    float distance, slope[3];
    for (int n = first; n < last; n++)
        for (int voxel = 0; voxel < LSM_VOXELS; voxel++)
            p->flags[(size_t)n * LSM_VOXELS + voxel] = (unsigned char)lsm_crossing(
                p->voxels, p->slots, p->neighbours, n, voxel, p->unit, p->least, &distance, slope);
}

static void read_voxels(job *j, int first, int last) {
    const surface_job *p = (const surface_job *)j;
    for (int i = first; i < last; i++)
        lsm_crossing(p->voxels, p->slots, p->neighbours, p->items[i] / LSM_VOXELS, (int)(p->items[i] % LSM_VOXELS), p->unit,
                     p->least, p->distance + i, p->slope + 3 * (size_t)i);
}

/* flags (count, 512): whether voxels of the blocks are on the surface; see lsm_crossing. */
EXPORT void lsm_surface_flags(const int *voxels, const long long *slots, const long long *neighbours, int count, float unit,
                              int least, unsigned char *flags, int threads) {
    surface_job p = {.voxels = voxels, .slots = slots, .neighbours = neighbours, .unit = unit, .least = least, .flags = flags};
    p.j.work = flag_blocks;
    run(&p.j, count, 32, threads);
}

/* Distance (count) and slope (count, 3) of voxels that are on the surface; items: 512 * block + voxel. */
EXPORT void lsm_surface_voxels(const int *voxels, const long long *slots, const long long *neighbours,
                               const long long *items, int count, float unit, int least, float *distance, float *slope,
                               int threads) {
    surface_job p = {.voxels = voxels, .slots = slots, .neighbours = neighbours, .items = items, .unit = unit,
                     .least = least, .distance = distance, .slope = slope};
    p.j.work = read_voxels;
    run(&p.j, count, 2048, threads);
}
