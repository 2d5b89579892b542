/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * The voxel map's work on the CPU, with threads: the walk over the items, while all formulas are in kernels.h. Every
 * function is called by lsm_ros/fusion/backends/cpu.py, which checks sizes.
 * Build: cc -O3 -std=c11 -ffp-contract=off -fno-trapping-math -fno-math-errno -fPIC -shared -pthread cpu.c
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#define EXPORT __attribute__((visibility("default")))
#define MAX_THREADS 64
#ifndef LSM_SOURCE
#define LSM_SOURCE "unknown"
#endif

/* Wider vectors where the processor has them. They have no fused multiply-add here, so that the bits stay the same. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__gnu_linux__) && !defined(LSM_NARROW)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* Digest of the sources, and the size of lsm_view: the caller compares both. */
EXPORT const char *lsm_source(void) { return LSM_SOURCE; }
EXPORT int lsm_view_size(void) { return (int)sizeof(lsm_view); }

#include "cpu_threads.h"
#include "cpu_pixels.h"
#include "cpu_blocks.h"
#include "cpu_sums.h"
#include "cpu_free.h"
#include "cpu_surface.h"
