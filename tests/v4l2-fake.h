/* SPDX-License-Identifier: MIT */
/*
 * A video driver in the test's own process: the library's ioctl(), poll() and open() reach it
 * through the linker's --wrap. Time passes when fake_tick() is called, and not otherwise.
 *
 * Its memory, and what /dev/udmabuf makes of ours, are memfds here: where dma_buf_get() takes a
 * kernel dma-buf it takes one of our own.
 */
#ifndef DMABUF_TEST_V4L2_FAKE_H
#define DMABUF_TEST_V4L2_FAKE_H

#include <linux/videodev2.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKE_BUFFERS 40
#define FAKE_PLANES 4

struct fake_plane {
	int fd; /* -1: none */
	uint64_t offset;
	uint32_t used;
};

struct fake_buffer {
	bool queued;
	bool done;
	struct fake_plane planes[FAKE_PLANES];
	uint32_t flags;
	uint32_t sequence;
};

struct fake_video {
	/* What it is. */
	uint32_t caps;
	uint32_t formats[8]; /* pixel formats, closed by 0 */
	uint32_t max_width;
	uint32_t stride_alignment;
	uint32_t min_buffers;
	bool contiguous; /* takes no memory that lies in pieces, but tells only at QBUF */
	bool imports;	 /* knows V4L2_MEMORY_DMABUF at all */
	bool creates;	 /* knows CREATE_BUFS */
	bool no_udmabuf;
	uint32_t input;	       /* it is on this one */
	uint32_t input_caps;   /* V4L2_IN_CAP_... of it; 0: it knows no inputs */
	uint32_t input_status; /* V4L2_IN_ST_... */
	uint32_t
		signal; /* width and height of what comes in, 0: nothing; of a standard, its bits */
	int signal_errno;    /* or why it cannot be had */
	uint32_t signal_set; /* what it is set to */
	uint32_t listened;   /* the input whose events it was asked for, plus one */

	/* Faults: this request answers so, or its answer is spoilt by @lie. */
	unsigned long fail_request;
	uint32_t fail_call; /* or this one, counted by @calls, once */
	int fail_errno;
	void (*lie)(unsigned long request, void *argument);
	bool failed;   /* a fatal streaming error */
	bool gone;     /* unplugged */
	bool changed;  /* an event waits */
	bool damaged;  /* the next frame has V4L2_BUF_FLAG_ERROR */
	uint32_t used; /* bytes of the next frames; 0: all */

	/* How it is doing. */
	uint32_t calls; /* ioctls */
	uint32_t type;
	uint32_t pixelformat, width, height;
	uint32_t planes; /* of memory */
	uint32_t stride[FAKE_PLANES], size[FAKE_PLANES];
	uint32_t memory;
	bool streaming;
	uint32_t sequence;
	uint32_t count;
	struct fake_buffer buffers[FAKE_BUFFERS];
	uint32_t order[FAKE_BUFFERS]; /* queued ones, oldest first */
	uint32_t queued;
	uint32_t ready[FAKE_BUFFERS]; /* done ones, oldest first */
	uint32_t done;
	uint64_t shown;	     /* frames that an output showed */
	uint8_t last_byte;   /* the last of them */
	uint64_t shown_size; /* bytes of it */
};

/* A camera that takes any memory; change it before it is opened. */
void fake_init(struct fake_video *fake, uint32_t caps);
/* Its descriptor, the caller's to close; one fake at a time. */
int fake_open(struct fake_video *fake);
/* A frame's time passes: the oldest buffer that it has is filled with the frame's number. */
void fake_tick(struct fake_video *fake);
/* Its memory goes. */
void fake_free(struct fake_video *fake);

#endif
