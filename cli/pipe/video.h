/* SPDX-License-Identifier: MIT */
/* What video sources and sinks have in common: the device, and its buffers. */
#ifndef DMABUF_CLI_PIPE_VIDEO_H
#define DMABUF_CLI_PIPE_VIDEO_H

#include <dmabuf/v4l2.h>

#include "element.h"

/* A buffer of the queue, mapped for the device since it came by first. */
struct video_slot {
	struct dma_buf_attachment *attach;
	struct dma_buf_sg_table *table;
	struct dmabuf_frame frame;
	bool with_driver;
};

struct video {
	const struct element_context *context;
	struct dma_buf_device *dev;
	struct dma_buf_device *card; /* whose memory frames are in, or NULL */
	enum dma_data_direction direction;
	struct dma_buf_v4l2_format format;
	uint64_t buffer_size;				   /* of a source's buffers */
	struct video_slot slots[DMABUF_QUEUE_MAX_BUFFERS]; /* by the frame's index */
	uint32_t with_driver;
	uint32_t may_keep; /* of those, without ever giving one back */
	uint64_t since;	   /* it has had more than that, and said nothing */
	uint64_t starved;  /* times that it gave its last one back */
	bool full;	   /* the driver makes no more buffers */
	uint64_t told;	   /* when its results were told last */
	unsigned int restarts;
	unsigned int failures; /* since the last frame */
};

int video_fail(const struct video *v);
int video_init(struct video *v, const struct element_context *context);
void video_exit(struct video *v);
/* The driver gets the frame's buffer, which is with it until video_take() has it. 0 or -errno. */
int video_give(struct video *v, const struct dmabuf_frame *frame, uint64_t used);
/*
 * What the driver gave back: 1 with the frame and what is said of it, 0 if there is none now, or
 * -errno with words.
 */
int video_take(struct video *v, struct dmabuf_frame *frame, struct dma_buf_v4l2_completion *done);
/* Who has something to say, after at most @ms (-1: however long it takes), or that it is overdue.
 */
#define VIDEO_QUEUE 1u
#define VIDEO_DRIVER 2u
#define VIDEO_SILENT 4u
unsigned int video_wait(const struct video *v, int queue_fd, int ms);
/* For VIDEO_SILENT. Returns -1. */
int video_fail_silent(const struct video *v);
uint64_t video_now(void);
/* After -EIO: stopped, to be filled and started again. False: it fails time and again. */
bool video_may_restart(struct video *v);
void video_tell(const struct video *v);
/* The same now and then, as a stream that is interrupted has no end. */
void video_tell_at(struct video *v, uint64_t timestamp);

/* Is this a heap of kernel dma-bufs, or the path of a graphics card? */
bool video_memory_is(const char *maker);
/* Ready to make buffers of it. 0, or -1 after video_fail(). */
int video_memory_open(struct video *v);
/* One in memory of that maker, else one that the driver gives or takes. NULL with words. */
struct dma_buf *video_memory_alloc(const struct video *v, const char *name);

int video_source_run(struct element_context *context);
int video_sink_run(struct element_context *context);
/* Before a source's queue is opened: whose buffers, how large, how many at least. */
int video_source_prepare(struct element_context *context, struct dmabuf_queue_options *options);

#endif
