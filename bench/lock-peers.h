/* SPDX-License-Identifier: MIT */
/*
 * Locks across processes that are not ours, to compare with. Arrays of them, each in cache lines of
 * its own, in memory that forked processes share.
 */
#ifndef DMABUF_BENCH_LOCK_PEERS_H
#define DMABUF_BENCH_LOCK_PEERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/file.h>

#include "bench.h"

#define PEER_LINE 64

/* A bare word: the limit of what takes and gives by atomic operations. */
struct peer_word {
	_Atomic(uint64_t) word;
} __attribute__((aligned(PEER_LINE)));

/* A robust mutex shared by processes: the lock that a careful program has today. */
struct peer_mutex {
	pthread_mutex_t mutex;
} __attribute__((aligned(PEER_LINE)));

struct peer_word *peer_words(unsigned int count);
struct peer_mutex *peer_mutexes(unsigned int count);
/* A file for flock(2). Its lock is the description's: see peer_file_again(). */
int peer_file(void);
/* The same file by a description of its own, as a process has it that does not inherit. */
int peer_file_again(int fd);

/* One compare-and-swap takes it and one gives it back, as who must notice that it was lost does. */
static inline bool peer_word_try(struct peer_word *w)
{
	uint64_t was = 0;

	return atomic_compare_exchange_strong(&w->word, &was, 1);
}

static inline void peer_word_give(struct peer_word *w)
{
	uint64_t was = 1;

	atomic_compare_exchange_strong(&w->word, &was, 0);
}

static inline bool peer_mutex_try(struct peer_mutex *m)
{
	return !pthread_mutex_trylock(&m->mutex);
}

/* True: its last holder died. */
static inline bool peer_mutex_take(struct peer_mutex *m)
{
	int err = pthread_mutex_lock(&m->mutex);

	if (err == EOWNERDEAD)
		bench_check_err(-pthread_mutex_consistent(&m->mutex), "pthread_mutex_consistent");
	else
		bench_check_err(-err, "pthread_mutex_lock");
	return err == EOWNERDEAD;
}

static inline void peer_mutex_give(struct peer_mutex *m)
{
	bench_check_err(-pthread_mutex_unlock(&m->mutex), "pthread_mutex_unlock");
}

static inline bool peer_file_try(int fd)
{
	return !flock(fd, LOCK_EX | LOCK_NB);
}

static inline void peer_file_take(int fd, int how)
{
	while (flock(fd, how) < 0)
		bench_check(errno == EINTR, "flock");
}

static inline void peer_file_give(int fd)
{
	bench_check(!flock(fd, LOCK_UN), "flock");
}

#endif
