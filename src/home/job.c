// SPDX-License-Identifier: MIT
/*
 * Requests that may take a while, as getting memory does: a few threads of their own, so that
 * neither the library's thread waits for a heap, nor a heap for functions that programs queued.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "home/homes.h"
#include "library-thread.h"

/* One that waits for another's allocation gives up after this; the visitor did so before. */
#define PATIENCE_MS 60000

struct job {
	struct dmabuf_list link;
	struct home *home;
	int fd; /* the visitor's */
	struct wire_request request;
};

/* Guarded by the homes' lock. */
static struct dmabuf_list waiting = { &waiting, &waiting };
static struct dmabuf_list running = { &running, &running };
static unsigned int job_count, threads;

void job_answer(int fd, int result, const struct home_storage *storage,
		const struct heap_attempts *attempts, const char *words)
{
	struct wire_answer answer;
	size_t length = strnlen(words, sizeof(answer.words) - 1);

	memset(&answer, 0, sizeof(answer));
	answer.head = wire_head(WIRE_ANSWER);
	answer.error = result < 0 ? -result : 0;
	if (result < 0)
		memcpy(answer.words, words, length);
	else if (storage)
		answer.storage = *storage;
	if (attempts)
		answer.attempts = *attempts;
	(void)talk_send(fd, &answer, sizeof(answer), storage ? result : -1);
}

static void forget_list(struct dmabuf_list *list)
{
	struct job *job;

	while (!list_empty(list)) {
		job = container_of(list->next, struct job, link);
		list_remove(&job->link);
		close(job->fd);
	}
}

/* Memory stays, as a sanitizer's allocator may be in use by a thread that is not here. */
void jobs_forget(void)
{
	forget_list(&waiting);
	forget_list(&running);
	job_count = threads = 0;
}

/* Nobody waits for the answer any more. */
static bool gone(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0;
}

static void prepare(struct job *job)
{
	struct heap_attempts attempts = { .count = 0 };
	const struct wire_request *r = &job->request;
	struct home_storage storage;
	int fd = storages_prepare(job->home, r->generation, r->heaps, r->heap_count,
				  clock_ms() + PATIENCE_MS, &storage, &attempts);

	job_answer(job->fd, fd, fd < 0 ? NULL : &storage, &attempts, dmabuf_last_error());
	if (fd >= 0)
		close(fd);
}

static void list_heaps(struct job *job)
{
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(list[0]) } };
	int count = dma_buf_heap_list(list, DMA_BUF_MAX_HEAPS);
	struct wire_heaps m;

	if (count < 0) {
		job_answer(job->fd, count, NULL, NULL, dmabuf_last_error());
		return;
	}
	wire_put_heaps(&m, list, (unsigned int)count);
	(void)talk_send(job->fd, &m, sizeof(m), -1);
}

static void work(struct job *job)
{
	int err;

	if (gone(job->fd))
		return;
	if (job->request.wish == WIRE_PREPARE) {
		prepare(job);
	} else if (job->request.wish == WIRE_LIST) {
		list_heaps(job);
	} else {
		err = storages_settle(job->home);
		job_answer(job->fd, err, NULL, NULL, dmabuf_last_error());
	}
}

/* With the lock held. */
static void take_out(struct job *job)
{
	list_remove(&job->link);
	job_count--;
	job->home->jobs--;
}

/* After it was taken out, without the lock. */
static void drop(struct job *job)
{
	talk_hang_up(job->fd);
	homes_put(job->home);
	free(job);
}

static void finish(struct job *job)
{
	homes_lock();
	take_out(job);
	job->home->working = false;
	homes_unlock();
	drop(job);
}

/* With the lock held: the first whose home nobody is at work for. */
static struct job *choose(void)
{
	for (struct dmabuf_list *at = waiting.next; at != &waiting; at = at->next) {
		struct job *job = container_of(at, struct job, link);

		if (!job->home->working)
			return job;
	}
	return NULL;
}

/* Those that wait for another of their home are for whoever does that one. */
static struct job *next_job(void)
{
	struct job *job;

	homes_lock();
	job = choose();
	if (!job) {
		threads--;
	} else {
		job->home->working = true;
		list_remove(&job->link);
		list_add_before(&job->link, &running);
	}
	homes_unlock();
	return job;
}

static void *run(void *arg)
{
	struct job *job;

	while ((job = next_job())) {
		work(job);
		finish(job);
	}
	return NULL;
}

static bool full(const struct home *home)
{
	return job_count >= OFFICE_JOBS || home->jobs >= HOME_JOBS;
}

/* With the lock held: those whose visitors have hung up make room. */
static void take_gone(struct dmabuf_list *out)
{
	struct dmabuf_list *next;

	for (struct dmabuf_list *at = waiting.next; at != &waiting; at = next) {
		struct job *job = container_of(at, struct job, link);

		next = at->next;
		if (!gone(job->fd))
			continue;
		take_out(job);
		list_add_before(&job->link, out);
	}
}

/* With the lock held. 0, or a positive errno. */
static int add(struct job *job)
{
	int err = 0;

	if (full(job->home))
		return EBUSY;
	/* Whoever works for this home takes it next. */
	if (threads < OFFICE_THREADS && !job->home->working) {
		err = library_thread(NULL, run, NULL);
		threads += !err;
	}
	if (err && !threads)
		return err;
	job_count++;
	job->home->jobs++;
	list_add_before(&job->link, &waiting);
	return 0;
}

static int enqueue(struct job *job)
{
	struct dmabuf_list out, *at, *next;
	int err;

	list_init(&out);
	homes_lock();
	if (full(job->home))
		take_gone(&out);
	err = add(job);
	homes_unlock();
	for (at = out.next; at != &out; at = next) {
		next = at->next;
		drop(container_of(at, struct job, link));
	}
	return err;
}

void job_begin(struct home *home, int fd, const struct wire_request *request)
{
	struct job *job = malloc(sizeof(*job));
	int err = job ? 0 : ENOMEM;

	if (job) {
		job->home = home;
		job->fd = fd;
		job->request = *request;
		err = enqueue(job);
	}
	if (!err)
		return;
	job_answer(fd, -err, NULL, NULL,
		   err == EBUSY ? "too much is asked of the exporter at the same time"
				: "the exporter has no thread, or no memory, to serve it");
	talk_hang_up(fd);
	homes_put(home);
	free(job);
}
