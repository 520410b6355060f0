// SPDX-License-Identifier: MIT
/*
 * Locks that nobody else wants, on memory and files that other processes share. The limit is a
 * compare-and-swap that takes a word and one that gives it back; a lock cannot do with less, and it
 * says neither who holds nor since when. What the library does is all in: entry, label, lease,
 * counter.
 */
#include <fcntl.h>

#include <dmabuf/dma-buf.h>
#include <dmabuf/dmabuf-sync.h>

#include "bench.h"
#include "lock-peers.h"

#define MOST 32
#define SIZE 4096

static struct dma_buf *buffers[MOST];
static struct dmabuf_sync *exclusive, *shared, *group_8, *group_32;
static struct peer_word *words;
static struct peer_mutex *mutexes;
static int files[MOST];

static struct dmabuf_sync *make_group(unsigned int count, unsigned int type)
{
	struct dmabuf_sync *sync = dmabuf_sync_init(NULL, "bench");
	unsigned int i;

	bench_check(sync != NULL, "dmabuf_sync_init");
	for (i = 0; i < count; i++)
		bench_check_err(dmabuf_sync_get(sync, buffers[i], type), "dmabuf_sync_get");
	return sync;
}

static void start(void)
{
	unsigned int i;

	bench_pin(0);
	for (i = 0; i < MOST; i++) {
		buffers[i] = dma_buf_alloc("bench", SIZE, O_RDWR);
		bench_check(buffers[i] != NULL, "dma_buf_alloc");
		files[i] = peer_file();
	}
	exclusive = make_group(1, DMA_BUF_ACCESS_W);
	shared = make_group(1, DMA_BUF_ACCESS_R);
	group_8 = make_group(8, DMA_BUF_ACCESS_W);
	group_32 = make_group(32, DMA_BUF_ACCESS_W);
	words = peer_words(MOST);
	mutexes = peer_mutexes(MOST);
}

static void stop(void)
{
	unsigned int i;

	dmabuf_sync_fini(exclusive);
	dmabuf_sync_fini(shared);
	dmabuf_sync_fini(group_8);
	dmabuf_sync_fini(group_32);
	for (i = 0; i < MOST; i++)
		dma_buf_put(buffers[i]);
}

static inline void words_pair(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		bench_check(peer_word_try(&words[i]), "taking a free word");
	for (i = count; i > 0; i--)
		peer_word_give(&words[i - 1]);
}

/* A group of what has no order of its own: try each, and give all back when one is taken. */
static inline int back_off(unsigned int held, void (*give)(unsigned int))
{
	while (held)
		give(--held);
	return 0;
}

static void mutex_give(unsigned int i)
{
	peer_mutex_give(&mutexes[i]);
}

static inline int mutexes_try(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!peer_mutex_try(&mutexes[i]))
			return back_off(i, mutex_give);
	return 1;
}

static void file_give(unsigned int i)
{
	peer_file_give(files[i]);
}

static inline int files_try(unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!peer_file_try(files[i]))
			return back_off(i, file_give);
	return 1;
}

static inline void mutexes_pair(unsigned int count)
{
	while (!mutexes_try(count))
		;
	back_off(count, mutex_give);
}

static inline void files_pair(unsigned int count)
{
	while (!files_try(count))
		;
	back_off(count, file_give);
}

static inline void mutex_pair(void)
{
	peer_mutex_take(&mutexes[0]);
	peer_mutex_give(&mutexes[0]);
}

static inline void file_pair(int how)
{
	peer_file_take(files[0], how);
	peer_file_give(files[0]);
}

static inline void sync_pair(struct dmabuf_sync *sync)
{
	bench_check_err(dmabuf_sync_lock(sync), "dmabuf_sync_lock");
	bench_check_err(dmabuf_sync_unlock(sync), "dmabuf_sync_unlock");
}

static inline void single_pair(void)
{
	bench_check_err(dmabuf_sync_single_lock(buffers[0], DMA_BUF_ACCESS_W, true), "lock");
	bench_check_err(dmabuf_sync_single_unlock(buffers[0]), "unlock");
}

/* A loop of its own for each: at some nanoseconds an indirect call would be half of the result. */
#define LOOP(name, pair)                                                   \
	static void name(const struct bench_case *c, unsigned long repeat, \
			 struct bench_sample *sample)                      \
	{                                                                  \
		unsigned long i;                                           \
                                                                           \
		pair;                                                      \
		bench_begin(sample);                                       \
		for (i = 0; i < repeat; i++)                               \
			pair;                                              \
		bench_end(sample);                                         \
	}

LOOP(run_word, words_pair(1))
LOOP(run_exclusive, sync_pair(exclusive))
LOOP(run_shared, sync_pair(shared))
LOOP(run_single, single_pair())
LOOP(run_mutex, mutex_pair())
LOOP(run_file, file_pair(LOCK_EX))
LOOP(run_words_8, words_pair(8))
LOOP(run_group_8, sync_pair(group_8))
LOOP(run_mutexes_8, mutexes_pair(8))
LOOP(run_files_8, files_pair(8))
LOOP(run_words_32, words_pair(32))
LOOP(run_group_32, sync_pair(group_32))
LOOP(run_mutexes_32, mutexes_pair(32))
LOOP(run_files_32, files_pair(32))

/* clang-format off */
#define LOCK(id, text, baseline, times, target, f) { id, text, baseline, 0, times, target, 0, f, 0 }

static const struct bench_case cases[] = {
	LOCK("word", "a word: two compare-and-swaps", NULL, 100000, 0, run_word),
	LOCK("exclusive", "dmabuf_sync, exclusive", "word", 100000, 1.2, run_exclusive),
	LOCK("shared", "dmabuf_sync, shared", "word", 100000, 1.2, run_shared),
	LOCK("single", "dmabuf_sync_single, exclusive", "word", 50000, 0, run_single),
	LOCK("mutex", "robust mutex", "word", 100000, 0, run_mutex),
	LOCK("file", "flock(2)", "word", 2000, 0, run_file),
	LOCK("words-8", "8 words", NULL, 10000, 0, run_words_8),
	LOCK("group-8", "dmabuf_sync, group of 8", "words-8", 10000, 1.4, run_group_8),
	LOCK("mutexes-8", "8 robust mutexes, try and back off", "words-8", 10000, 0, run_mutexes_8),
	LOCK("files-8", "8 flocks, try and back off", "words-8", 200, 0, run_files_8),
	LOCK("words-32", "32 words", NULL, 2500, 0, run_words_32),
	LOCK("group-32", "dmabuf_sync, group of 32", "words-32", 2500, 1.4, run_group_32),
	LOCK("mutexes-32", "32 robust mutexes, try and back off", "words-32", 2500, 0,
	     run_mutexes_32),
	LOCK("files-32", "32 flocks, try and back off", "words-32", 50, 0, run_files_32),
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct bench_subject subject = {
		.name = "locks",
		.cases = cases,
		.count = sizeof(cases) / sizeof(cases[0]),
		.rounds = 101,
		.start = start,
		.stop = stop,
	};

	return bench_main(argc, argv, &subject);
}
