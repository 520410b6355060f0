/* SPDX-License-Identifier: MIT */
/* <dmabuf/queue.h> with DMABUF_DISABLED (mission row A7): nothing here claims success. */
#ifndef DMABUF_STUBS_QUEUE_H
#define DMABUF_STUBS_QUEUE_H

#include <errno.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"

static inline struct dmabuf_queue *dmabuf_queue_create(const struct dmabuf_queue_options *options)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dmabuf_queue *
dmabuf_queue_create_relay(struct dmabuf_queue_consumer *consumer,
			  const struct dmabuf_queue_options *options)
{
	errno = ENODEV;
	return NULL;
}

static inline int dmabuf_queue_listen(struct dmabuf_queue *queue, const char *path)
{
	return -ENODEV;
}

static inline int dmabuf_queue_add(struct dmabuf_queue *queue, int socket)
{
	return -ENODEV;
}

static inline int dmabuf_queue_wait_consumers(struct dmabuf_queue *queue, unsigned int count,
					      int timeout_ms)
{
	return -ENODEV;
}

static inline int dmabuf_queue_get(struct dmabuf_queue *queue, struct dmabuf_frame *frame,
				   int timeout_ms)
{
	return -ENODEV;
}

static inline int dmabuf_queue_put(struct dmabuf_queue *queue, const struct dmabuf_frame *frame)
{
	return -ENODEV;
}

static inline int dmabuf_queue_cancel(struct dmabuf_queue *queue, const struct dmabuf_frame *frame)
{
	return -ENODEV;
}

static inline int dmabuf_queue_finish(struct dmabuf_queue *queue, int timeout_ms)
{
	return -ENODEV;
}

static inline int dmabuf_queue_dispatch(struct dmabuf_queue *queue)
{
	return -ENODEV;
}

static inline int dmabuf_queue_fd(struct dmabuf_queue *queue)
{
	return -ENODEV;
}

static inline int dmabuf_queue_get_consumers(struct dmabuf_queue *queue,
					     struct dmabuf_queue_consumer_info *infos,
					     unsigned int count)
{
	return -ENODEV;
}

static inline int dmabuf_queue_get_stats(const struct dmabuf_queue *queue,
					 struct dmabuf_queue_stats *stats)
{
	return -ENODEV;
}

static inline void dmabuf_queue_destroy(struct dmabuf_queue *queue)
{
}

static inline struct dmabuf_queue_consumer *
dmabuf_queue_connect(const char *path, const struct dmabuf_queue_consumer_options *options,
		     int timeout_ms)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dmabuf_queue_consumer *
dmabuf_queue_join(int socket, const struct dmabuf_queue_consumer_options *options, int timeout_ms)
{
	errno = ENODEV;
	return NULL;
}

static inline int dmabuf_queue_take(struct dmabuf_queue_consumer *consumer,
				    struct dmabuf_frame *frame, int timeout_ms)
{
	return -ENODEV;
}

static inline int dmabuf_queue_wait_fence(const struct dmabuf_frame *frame, int timeout_ms)
{
	return -ENODEV;
}

static inline int dmabuf_queue_release(struct dmabuf_queue_consumer *consumer,
				       const struct dmabuf_frame *frame)
{
	return -ENODEV;
}

static inline int dmabuf_queue_consumer_fd(struct dmabuf_queue_consumer *consumer)
{
	return -ENODEV;
}

static inline int dmabuf_queue_consumer_get_stats(const struct dmabuf_queue_consumer *consumer,
						  struct dmabuf_queue_stats *stats)
{
	return -ENODEV;
}

static inline struct dmabuf_queue_consumer *
dmabuf_queue_open_input(const struct dmabuf_queue_consumer_options *options, int timeout_ms)
{
	errno = ENODEV;
	return NULL;
}

static inline struct dmabuf_queue *
dmabuf_queue_open_output(struct dmabuf_queue_consumer *input,
			 const struct dmabuf_queue_options *options, int timeout_ms)
{
	errno = ENODEV;
	return NULL;
}

static inline int dmabuf_queue_tell(const char *key, const char *value)
{
	return -ENODEV;
}

static inline void dmabuf_queue_leave(struct dmabuf_queue_consumer *consumer)
{
}

#pragma GCC diagnostic pop
#endif
