/* SPDX-License-Identifier: Apache-2.0
 * Copyright 2026 The lsm_ros authors
 *
 * Threads for cpu.c: items 0..count-1 of a job in chunks, whoever is free takes the next. The caller works too, and waits
 * only for helpers that have begun: on a busy machine, or after a fork, it does everything alone rather than wait.
 */
typedef struct job {
    void (*work)(struct job *, int first, int last);
    int count, chunk, next, wanted, helping;
} job;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    job *current;
    int workers, registered;
} pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0, 0};

static void run_job(job *j) {
    for (;;) {
        int first = __atomic_fetch_add(&j->next, j->chunk, __ATOMIC_RELAXED);
        if (first >= j->count) return;
        j->work(j, first, first + j->chunk < j->count ? first + j->chunk : j->count);
    }
}

static void *help(void *nothing) {
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (!pool.current || pool.current->wanted == 0) pthread_cond_wait(&pool.wake, &pool.lock);
        job *j = pool.current;
        j->wanted--;
        j->helping++;
        pthread_mutex_unlock(&pool.lock);
        run_job(j);
        pthread_mutex_lock(&pool.lock);
        if (--j->helping == 0) pthread_cond_broadcast(&pool.idle); /* who waits may wait for another job */
    }
    return nothing;
}

/* A forked child has no helpers, and nobody who would unlock. */
static void forget_threads(void) {
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pthread_cond_init(&pool.idle, NULL);
    pool.current = NULL;
    pool.workers = 0;
}

static void run(job *j, int count, int chunk, int threads) {
    threads = threads < MAX_THREADS ? threads : MAX_THREADS;
    j->count = count;
    j->chunk = chunk;
    j->next = 0;
    j->wanted = threads - 1;
    j->helping = 0;
    if (threads < 2 || count <= chunk) {
        run_job(j);
        return;
    }
    pthread_mutex_lock(&pool.lock);
    int mine = pool.current == NULL; /* else another thread's job has the helpers */
    if (mine) {
        if (!pool.registered) pool.registered = !pthread_atfork(NULL, NULL, forget_threads);
        pthread_t thread;
        while (pool.workers < threads - 1 && !pthread_create(&thread, NULL, help, NULL)) {
            pthread_detach(thread);
            pool.workers++;
        }
        pool.current = j;
        pthread_cond_broadcast(&pool.wake);
    }
    pthread_mutex_unlock(&pool.lock);
    run_job(j);
    if (!mine) return;
    pthread_mutex_lock(&pool.lock);
    pool.current = NULL;
    while (j->helping) pthread_cond_wait(&pool.idle, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}
