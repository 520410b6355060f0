/* SPDX-License-Identifier: MIT */
/*
 * Ways for frames from one process, the source, to another, the sink. The work at both ends is the
 * same for all: it gets a place to write a frame, and a place to read it.
 */
#ifndef DMABUF_BENCH_TRANSPORT_H
#define DMABUF_BENCH_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

/** FRAME_SIZE - 1080p NV12, or 4K RGBA where FRAMES_4K is defined */
#ifdef FRAMES_4K
#define FRAME_SIZE ((size_t)3840 * 2160 * 4)
#else
#define FRAME_SIZE ((size_t)3110400)
#endif
/** FRAME_BUFFERS - frames on their way at most, where a transport has buffers */
#define FRAME_BUFFERS 4

/**
 * struct transport - one way
 * @name: identifies it
 * @prepare: [optional] in the parent of both, before they exist
 * @join: in the source (@source is not 0) and in the sink, once
 * @begin: source: where to write the next frame
 * @commit: source: it is written
 * @take: sink: where to read the next frame
 * @release: sink: it is read
 * @leave: [optional] in both, once, after the last frame
 *
 * What is copied on the way goes into transport_copied.
 */
struct transport {
	const char *name;
	void (*prepare)(void);
	void (*join)(int source);
	void *(*begin)(void);
	void (*commit)(void);
	const void *(*take)(void);
	void (*release)(void);
	void (*leave)(void);
};

extern uint64_t transport_copied;

extern const struct transport transport_pipe;
extern const struct transport transport_ring;
extern const struct transport transport_in_place;
extern const struct transport transport_limit;
extern const struct transport transport_queue;

/* A frame's worth of this process's own memory, its pages there. */
void *transport_private_frame(void);

#endif
