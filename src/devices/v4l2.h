/* SPDX-License-Identifier: MIT */
/*
 * Inside a video device. v4l2-call.c is the only way to the driver; v4l2-layout.c (pure) turns its
 * answers into planes; v4l2-places.c holds its buffers, v4l2-memory.c makes descriptors of ours
 * that it takes; v4l2-stream.c gives them to and takes them from it;
 * v4l2-source.c is about what a capture receives.
 */
#ifndef DMABUF_SRC_DEVICES_V4L2_H
#define DMABUF_SRC_DEVICES_V4L2_H

#include <linux/videodev2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <dmabuf/v4l2.h>

#define V4L2_MAX_SIDE 65536u
/* Memory planes in one buffer of ours begin at multiples of this: the largest page there is. */
#define V4L2_PLANE_ALIGNMENT 65536u

/* A pixel format: how the kernel calls it, how frames do, and where its planes are. */
struct v4l2_pixels {
	uint32_t pixelformat;
	uint32_t fourcc;
	uint32_t planes;
	uint32_t memory_planes;
	/* A line has ceil(width / @x) times @bytes, a plane ceil(height / @y) lines. */
	struct {
		uint8_t x, y, bytes;
	} plane[3];
};

/* What a driver says of its format, single and multi-planar alike. */
struct v4l2_answer {
	uint32_t pixelformat;
	uint32_t width;
	uint32_t height;
	uint32_t memory_planes;
	struct {
		uint32_t stride;
		uint32_t size;
	} memory[DMABUF_FRAME_MAX_PLANES];
};

/* v4l2-layout.c: the entry at @index whose fourcc is @fourcc; NULL: there are no more. */
const struct v4l2_pixels *v4l2_pixels_of(uint32_t fourcc, unsigned int index);
const struct v4l2_pixels *v4l2_pixels_find(uint32_t pixelformat);
/* NULL, or what is wrong with the answer. @format gets all but interval_ns. */
const char *v4l2_layout(const struct v4l2_answer *answer, struct dma_buf_v4l2_format *format);
/* From where one memory plane begins to where the next one does. */
uint64_t v4l2_aligned(uint64_t bytes);
/* "NV12", or "0x..." */
void v4l2_fourcc_text(uint32_t fourcc, char text[16]);

/* A piece of memory by what fstat says of its descriptor. */
struct v4l2_identity {
	uint64_t device;
	uint64_t inode;
};

/* One of the driver's buffers. */
struct v4l2_place {
	const struct dma_buf_scatterlist *sgl; /* of the mapped table that uses it; NULL: none */
	struct v4l2_identity memory;	       /* in it now; of an exported one always */
	int fds[DMABUF_FRAME_MAX_PLANES];      /* given to the driver, or its own; -1 */
	bool exported;			       /* dma_buf_v4l2_alloc() gave it out */
	bool queued;
	bool given_back; /* by stop, not reaped yet */
	uint64_t used;
	uint64_t cookie;
};

struct v4l2_device {
	uint64_t owner; /* process_cookie() */
	char name[DMA_BUF_DEVICE_NAME_LEN];
	int fd;
	uint32_t type; /* V4L2_BUF_TYPE_... */
	bool output;
	bool multiplanar;
	char driver[16], card[32], bus[32];
	struct dma_buf_device_parameters needs; /* where memory can still be chosen */

	unsigned int needs_from; /* enum dma_buf_parameters_from */

	pthread_mutex_t lock;
	struct dma_buf_v4l2_format format; /* width 0: none agreed on */
	struct v4l2_answer answer;	   /* that it was made of */
	enum dma_buf_v4l2_memory memory;
	int import_errno; /* why AUTO did not import */
	char import_words[128];
	uint32_t min_buffers;
	struct v4l2_place places[DMA_BUF_V4L2_MAX_BUFFERS];
	uint32_t place_count;
	uint32_t queued;
	uint32_t given_back;
	bool streaming;
	bool failed;  /* until it is stopped */
	bool changed; /* the source, since the format was set */
	bool gone;
	uint32_t before_change; /* frames that may still come before that is told */
	uint32_t unasked;	/* frames since events were asked for */
	uint32_t input;		/* whose source's events are of interest */

	bool counting; /* last_sequence is of this run */
	uint32_t last_sequence;
	uint64_t sequence; /* of the next frame, if none gets lost */
	uint64_t frames, errors, lost, requests;
};

extern const struct dma_buf_map_ops v4l2_map_ops;

/* v4l2-call.c: 0 or -errno, without words; a signal does not end it. */
int v4l2_call(struct v4l2_device *v, unsigned long request, void *argument);
/* Words for what no request answers well: -ENODEV says that it was unplugged. Returns -@err. */
int v4l2_fail(const struct v4l2_device *v, int err, const char *what);
/* The device behind @dev, its lock not held; NULL with errno and words. */
struct v4l2_device *v4l2_of(const struct dma_buf_device *dev);

/* v4l2-sysfs.c: what is known of the device's needs, and from where. */
unsigned int v4l2_parameters(const struct v4l2_device *v, dev_t number, const char *sysfs,
			     struct dma_buf_device_parameters *parameters);

/* All below are called with the lock held. */

/* v4l2-memory.c */
bool v4l2_identify(int fd, struct v4l2_identity *identity);
/*
 * Descriptors of @dmabuf that the driver takes, one for each memory plane, into @place. 0 or -errno
 * with words.
 */
int v4l2_memory_get(const struct v4l2_device *v, struct v4l2_place *place, struct dma_buf *dmabuf);
void v4l2_memory_put(struct v4l2_place *place);

/* v4l2-places.c: give the driver's buffers up; 0 or -errno with words. */
int v4l2_places_free(struct v4l2_device *v);
/* A v4l2_buffer for place @index; @planes has room for VIDEO_MAX_PLANES. */
void v4l2_buffer_init(const struct v4l2_device *v, struct v4l2_buffer *buffer,
		      struct v4l2_plane *planes, uint32_t index);
/* Fill in what QBUF needs of @place and do it. 0 or -errno without words. */
int v4l2_place_queue(struct v4l2_device *v, uint32_t index, uint64_t used, uint64_t timestamp);

/* v4l2-source.c, of a capture: have events of the present input's source told, take them (to
 * @changed), take over the timings of one that changed. */
void v4l2_source_listen(struct v4l2_device *v);
void v4l2_source_events(struct v4l2_device *v);
void v4l2_source_follow(struct v4l2_device *v);

/* v4l2-stream.c: STREAMOFF; all that was queued is given back. 0 or -errno without words. */
int v4l2_stop(struct v4l2_device *v);

#endif
