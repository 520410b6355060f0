// SPDX-License-Identifier: MIT
/*
 * Jobs of a block device (row E4). Their buffers are locked by the library's thread for locks; a
 * thread of the device, started with its first job, starts their transfers and ends them. A job is
 * in the queue's list until its transfer starts, so that unmapping finds it there.
 */
#include "block.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <dmabuf/queued-work.h>

#include "buffer.h"
#include "device.h"
#include "error.h"
#include "export.h"
#include "library-thread.h"
#include "list.h"
#include "options.h"
#include "process.h"
#include "queued-job.h"

/* The disk's retries need somebody who looks. */
#define LOOK_MS 100

/* Jobs may outlive the device that they can no longer reach. */
struct block_queue {
	struct block_device *b;
	_Atomic(unsigned int) refs; /* the device's, and one of each job */
	pthread_mutex_t lock;	    /* guards what follows; not held while a transfer is started */
	pthread_cond_t started;
	struct dmabuf_list jobs;  /* that have not started */
	struct dmabuf_list ready; /* of these: those that may */
	bool stop;
	bool orphan; /* the thread itself has the device to free */
	pthread_t thread;
	int kick_fd;
};

struct block_job {
	struct queued_job job; /* first */
	struct block_queue *queue;
	struct dmabuf_list link;       /* of all; in none: started, or not wanted any more */
	struct dmabuf_list ready_link; /* of the ready ones */
	bool starting;		       /* by the thread, which cannot be stopped there */
	struct block_transfer wanted;
	const struct dma_buf_scatterlist *sgl; /* identifies the region, and is not looked at */
	int device_fd; /* the handle's; the job's sync object has the handle */
};

static struct block_job *job_of(struct dmabuf_list *link)
{
	return container_of(link, struct block_job, link);
}

static void queue_put(struct block_queue *q)
{
	if (atomic_fetch_sub(&q->refs, 1) != 1)
		return;
	close(q->kick_fd);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->started);
	free(q);
}

void block_queue_kick(struct block_queue *q)
{
	uint64_t one = 1;
	ssize_t n;

	do {
		n = write(q->kick_fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

/* With the queue's lock held. */
static void unlist(struct block_job *j)
{
	list_remove(&j->link);
	list_remove(&j->ready_link);
}

static void job_ready(struct queued_job *job)
{
	struct block_job *j = (struct block_job *)job;
	struct block_queue *q = j->queue;
	bool wanted;

	pthread_mutex_lock(&q->lock);
	wanted = !list_empty(&j->link);
	if (wanted) {
		list_add_before(&j->ready_link, &q->ready);
		block_queue_kick(q);
	}
	pthread_mutex_unlock(&q->lock);
	if (!wanted)
		queued_job_end(job, -ECANCELED, false);
}

static bool job_withdraw(struct queued_job *job)
{
	struct block_job *j = (struct block_job *)job;
	bool was_ready;

	pthread_mutex_lock(&j->queue->lock);
	was_ready = !list_empty(&j->ready_link) && !j->starting;
	if (was_ready)
		unlist(j);
	pthread_mutex_unlock(&j->queue->lock);
	return was_ready;
}

static void job_ending(struct queued_job *job)
{
	struct block_job *j = (struct block_job *)job;

	pthread_mutex_lock(&j->queue->lock);
	unlist(j);
	pthread_mutex_unlock(&j->queue->lock);
}

static void job_release(struct queued_job *job)
{
	struct block_job *j = (struct block_job *)job;

	queue_put(j->queue);
	free(j);
}

static const struct queued_job_ops block_job_ops = {
	.driver = "dmabuf-block",
	.ready = job_ready,
	.withdraw = job_withdraw,
	.ending = job_ending,
	.release = job_release,
};

/* With the queue's lock held. */
static struct block_job *find_listed(struct block_queue *q, const struct dma_buf_scatterlist *sgl)
{
	struct dmabuf_list *link;

	for (link = q->jobs.next; link != &q->jobs; link = link->next)
		if (job_of(link)->sgl == sgl)
			return job_of(link);
	return NULL;
}

static struct block_job *take_listed(struct block_queue *q, const struct dma_buf_scatterlist *sgl,
				     bool *was_ready)
{
	struct block_job *found;

	pthread_mutex_lock(&q->lock);
	while ((found = find_listed(q, sgl)) && found->starting)
		pthread_cond_wait(&q->started, &q->lock);
	if (found) {
		*was_ready = !list_empty(&found->ready_link);
		unlist(found);
		dma_fence_get(&found->job.fence);
	}
	pthread_mutex_unlock(&q->lock);
	return found;
}

void block_queue_cancel(struct block_queue *q, const struct dma_buf_scatterlist *sgl)
{
	struct block_job *j;
	bool was_ready;

	while ((j = take_listed(q, sgl, &was_ready))) {
		if (was_ready)
			queued_job_end(&j->job, -ECANCELED, false);
		else
			(void)queued_job_cancel(&j->job);
		dma_fence_put(&j->job.fence);
	}
}

/* One that ended, and its transfer's result. */
static struct block_job *take_ended(struct block_device *b, int64_t *result)
{
	struct block_job *j = NULL;
	struct block_transfer *t;

	pthread_mutex_lock(&b->lock);
	if (b->jobs_under_way)
		b->engine->collect(b);
	t = block_list_take(&b->jobs_done);
	if (t) {
		j = t->job;
		*result = t->result;
		block_transfer_free(b, t);
	}
	block_signal_done(b);
	pthread_mutex_unlock(&b->lock);
	return j;
}

static bool end_one(struct block_device *b)
{
	struct block_job *j;
	int64_t result;
	int error = 0;

	j = take_ended(b, &result);
	if (!j)
		return false;
	if (result < 0)
		error = (int)result;
	else if ((uint64_t)result < j->wanted.length)
		error = -ENODATA;
	queued_job_end(&j->job, error, true);
	return true;
}

/* The next one that may start, which stays listed, so that no unmapping overtakes it. */
static struct block_job *take_ready(struct block_queue *q)
{
	struct block_job *j = NULL;

	pthread_mutex_lock(&q->lock);
	if (!list_empty(&q->ready)) {
		j = container_of(q->ready.next, struct block_job, ready_link);
		j->starting = true;
	}
	pthread_mutex_unlock(&q->lock);
	return j;
}

/* @over: it has started, or cannot; else it is the next one still. */
static void end_start(struct block_queue *q, struct block_job *j, bool over)
{
	pthread_mutex_lock(&q->lock);
	j->starting = false;
	if (over)
		unlist(j);
	pthread_cond_broadcast(&q->started);
	pthread_mutex_unlock(&q->lock);
}

/* False: there is none, or no room for it. */
static bool start_one(struct block_queue *q)
{
	struct block_device *b = q->b;
	struct block_job *j = take_ready(q);
	bool full;
	int err = 0;

	if (!j)
		return false;
	dma_fence_get(&j->job.fence);
	pthread_mutex_lock(&b->lock);
	full = !b->unused;
	b->jobs_starve = full;
	if (!full)
		err = block_start(b, j->sgl, &j->wanted, j->device_fd);
	pthread_mutex_unlock(&b->lock);
	end_start(q, j, !full);
	if (err)
		queued_job_end(&j->job, err, false);
	dma_fence_put(&j->job.fence);
	return !full;
}

static void wait_for_kick(struct block_queue *q)
{
	struct block_device *b = q->b;
	struct pollfd pfds[] = {
		{ .fd = q->kick_fd, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	uint64_t count;
	bool busy;

	pthread_mutex_lock(&b->lock);
	busy = b->jobs_under_way;
	pthread_mutex_unlock(&b->lock);
	if (busy)
		pfds[1].fd = b->poll_fd;
	if (poll(pfds, 2, busy ? LOOK_MS : -1) > 0 && (pfds[0].revents & POLLIN))
		(void)!read(q->kick_fd, &count, sizeof(count));
}

static void *queue_thread(void *arg)
{
	struct block_queue *q = arg;
	bool stop = false, orphan = false;

	while (!stop) {
		if (end_one(q->b) || start_one(q))
			continue;
		pthread_mutex_lock(&q->lock);
		stop = q->stop;
		orphan = q->orphan;
		pthread_mutex_unlock(&q->lock);
		if (!stop)
			wait_for_kick(q);
	}
	if (orphan) {
		pthread_detach(pthread_self());
		block_free(q->b);
	}
	return NULL;
}

bool block_queue_leave(struct block_device *b)
{
	struct block_queue *q = b->queue;

	if (!q || process_cookie() != b->owner || !pthread_equal(q->thread, pthread_self()))
		return false;
	pthread_mutex_lock(&q->lock);
	q->orphan = true;
	q->stop = true;
	pthread_mutex_unlock(&q->lock);
	return true;
}

static struct block_queue *queue_new(struct block_device *b)
{
	struct block_queue *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a queue of jobs");
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick_fd < 0) {
		err = errno;
		free(q);
		return dmabuf_fail_ptr(err, "eventfd for a queue of jobs: %s", strerror(err));
	}
	q->b = b;
	atomic_init(&q->refs, 1);
	pthread_mutex_init(&q->lock, NULL);
	list_init(&q->jobs);
	list_init(&q->ready);
	pthread_cond_init(&q->started, NULL);
	err = library_thread(&q->thread, queue_thread, q);
	if (!err)
		return q;
	queue_put(q);
	return dmabuf_fail_ptr(EAGAIN, "no thread for a queue of jobs: %s", strerror(err));
}

/* The device's, made when there is none. NULL with errno and words. */
static struct block_queue *queue_get(struct block_device *b)
{
	struct block_queue *q;

	pthread_mutex_lock(&b->lock);
	if (!b->queue)
		b->queue = queue_new(b);
	q = b->queue;
	if (q)
		atomic_fetch_add(&q->refs, 1);
	pthread_mutex_unlock(&b->lock);
	return q;
}

void block_queue_destroy(struct block_device *b)
{
	struct block_queue *q = b->queue;

	if (!q)
		return;
	/* A parent's thread is not here; one of its own is past its last look at anything. */
	if (process_cookie() == b->owner && !q->orphan) {
		pthread_mutex_lock(&q->lock);
		q->stop = true;
		pthread_mutex_unlock(&q->lock);
		block_queue_kick(q);
		pthread_join(q->thread, NULL);
	}
	b->queue = NULL;
	queue_put(q);
}

static struct block_job *job_new(struct dma_buf_attachment *attach,
				 const struct dma_buf_sg_table *table,
				 const struct block_transfer *wanted)
{
	struct dma_buf *dmabuf = attach->dmabuf;
	struct block_job *j = calloc(1, sizeof(*j));
	int err;

	if (!j)
		return dmabuf_fail_ptr(ENOMEM, "no memory for a job of %s", attach->dev->name);
	j->wanted = *wanted;
	j->wanted.job = j;
	j->sgl = table->sgl;
	j->job.replaces =
		!wanted->write && !wanted->buffer_offset && wanted->length == dmabuf->size;
	list_init(&j->link);
	list_init(&j->ready_link);
	err = j->device_fd = buffer_device_fd(to_buffer(dmabuf));
	if (err >= 0) {
		j->queue = queue_get(attach->dev->priv);
		err = j->queue ? queued_job_init(&j->job, &block_job_ops, attach->dev->name)
			       : -errno;
	}
	if (!err)
		return j;
	if (j->queue)
		queue_put(j->queue);
	free(j);
	errno = -err;
	return NULL;
}

/* In the list before it can become ready. */
static void list_job(struct block_job *j)
{
	pthread_mutex_lock(&j->queue->lock);
	list_add_before(&j->link, &j->queue->jobs);
	pthread_mutex_unlock(&j->queue->lock);
}

static int start(struct block_job *j, struct dma_buf *dmabuf, const struct dma_buf_block_job *job)
{
	int err = dmabuf_sync_get_range(
		j->job.sync, dmabuf, j->wanted.write ? DMA_BUF_ACCESS_DMA_R : DMA_BUF_ACCESS_DMA_W,
		job->buffer_offset, job->length);

	if (err)
		return err;
	list_job(j);
	err = queued_job_start(&j->job, job->after, job->num_after, job->timeout_ms);
	if (err)
		job_ending(&j->job);
	return err;
}

DMABUF_PUBLIC int dma_buf_block_queue(struct dma_buf_attachment *attach,
				      struct dma_buf_sg_table *table,
				      const struct dma_buf_block_job *job, struct dma_fence **fence)
{
	struct dma_buf_block_job o = { .struct_size = sizeof(o) };
	struct block_transfer wanted = { 0 };
	struct dma_fence *made;
	struct block_job *j;
	int err = options_take(&o, sizeof(o), job, sizeof(o.struct_size), "a block device's job");

	if (!err && !fence)
		err = dmabuf_fail(EINVAL, "a job needs room for its fence");
	if (!err)
		err = queued_job_check(o.after, o.num_after, &o.timeout_ms);
	wanted.write = o.direction == DMA_TO_DEVICE;
	wanted.buffer_offset = o.buffer_offset;
	wanted.length = o.length;
	wanted.file_offset = o.file_offset;
	if (!err)
		err = block_check_submit(attach, table, o.direction, &wanted);
	if (err)
		return err;
	j = job_new(attach, table, &wanted);
	if (!j)
		return -errno;
	made = dma_fence_get(&j->job.fence);
	err = start(j, attach->dmabuf, &o);
	if (err) {
		queued_job_fini(&j->job);
		dma_fence_put(made);
		return err;
	}
	*fence = made;
	return 0;
}
