/* SPDX-License-Identifier: MIT */
/* The elements of a pipe, as the command line gives them and as they run. */
#ifndef DMABUF_CLI_PIPE_ELEMENT_H
#define DMABUF_CLI_PIPE_ELEMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <dmabuf/queue.h>

#include "queue-report.h"
#include "output.h"
#include "picture.h"

/* Each takes a place among the holders of each buffer, and the runner takes one. */
#define PIPE_MAX_ELEMENTS 32

enum element_role {
	ELEMENT_SOURCE = 1,
	ELEMENT_STAGE = 2,
	ELEMENT_SINK = 3,
};

/* A place for classes that are sinks of dmabuf catch only. */
#define ELEMENT_CATCHER 4

struct command;
struct element;

/* What runs in an element's own process. */
struct element_context {
	const struct element *element;
	struct dmabuf_queue_consumer *in; /* not of a source */
	struct dmabuf_queue *out;	  /* not of a sink */
	bool stages_write;		  /* some stage may change the bytes of a buffer */
	uint64_t taken;			  /* frames, from its input */
};

/*
 * struct element_class - a kind of element
 * @prefix: how the command line names it: the whole word, or up to and with the colon
 * @roles: where it may stand, 1 << enum element_role
 * @writes: as a stage it may change the bytes
 * @foreign: a program that opens its ends of the queue itself
 * @max_buffers: as a source it makes its own buffers, so many at most; 0: it takes what there are
 * @holds: as a sink it needs so many buffers at a time; 0: the queue's own default
 * @parse: [optional] understands what follows the prefix; 0, or EXIT_USAGE after usage()
 * @open: [optional] opens files, in the runner before anything starts; 0 or -1 after complain()
 * @prepare: [optional] of a source that makes its own buffers, in its process: how. 0, or -1 after
 *	element_fail()
 * @run: in the element's process: until the end of the stream was passed on. 0, or -1 after
 *	element_fail()
 */
struct element_class {
	const char *prefix;
	unsigned int roles;
	bool writes;
	bool foreign;
	uint32_t max_buffers;
	uint32_t holds;
	int (*parse)(struct element *element, const char *argument);
	int (*open)(struct element *element);
	int (*prepare)(struct element_context *context, struct dmabuf_queue_options *options);
	int (*run)(struct element_context *context);
};

#define ROLE(role) (1u << (role))

/* What the command line asks of a camera, or of a screen; zeros: whatever it does now. */
struct video_wishes {
	char path[128];
	uint32_t fourcc;
	uint32_t width;
	uint32_t height;
	uint64_t fps;
	unsigned int memory; /* enum dma_buf_v4l2_memory */
	char maker[64];	     /* a heap, or a graphics card, whose memory is imported; "": none */
	uint32_t crtc;	     /* of a screen */
	uint64_t room;	     /* bytes of a buffer at least, for pictures that grow */
	uint64_t timeout;    /* nanoseconds that it may be silent; UINT64_MAX: no end */
};

struct element {
	const struct command *command; /* for words about it */
	const struct element_class *class;
	const char *text;     /* as on the command line */
	const char *argument; /* what follows the prefix */
	enum element_role role;
	unsigned int number; /* counts from 1 */

	int fd;		      /* its file, or -1 */
	bool streams;	      /* the file takes plain reads and writes only */
	struct output output; /* of a sink or tee that writes a file */
	struct picture picture;
	struct video_wishes video;
	uint64_t frames; /* how many to make, or to take; UINT64_MAX: no end */
	uint64_t bytes;
	uint64_t period; /* nanoseconds between pictures of png: */
	char **argv;	 /* of an exec: element */

	int control; /* in the element's process; -1: none */
	int in;
	int out;
};

extern const struct element_class file_class;
extern const struct element_class stream_class;
extern const struct element_class null_class;
extern const struct element_class test_class;
extern const struct element_class sha256_class;
extern const struct element_class crc32_class;
extern const struct element_class count_class;
extern const struct element_class verify_class;
extern const struct element_class tee_class;
extern const struct element_class exec_class;
extern const struct element_class png_class;
extern const struct element_class video_class;
extern const struct element_class drm_class;

/* "stage 3 (sha256)" into @text. */
void element_describe(const struct element *element, char *text, size_t room);

/* Tell the runner why this element gives up. Returns -1. */
int element_fail(const struct element_context *context, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Tell the runner a result. */
void element_tell(const struct element_context *context, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The next frame, however long it takes: 1; 0 at the end; -1 after element_fail(). With
 * @may_wait false it is 2 if there is none yet.
 */
int element_next(struct element_context *context, struct dmabuf_frame *frame, bool may_wait);
int element_pass(const struct element_context *context, const struct dmabuf_frame *frame);
int element_finish(const struct element_context *context);

/* Start and end of a CPU access to the first @len bytes of a frame. NULL after element_fail(). */
void *element_begin(const struct element_context *context, const struct dmabuf_frame *frame,
		    uint64_t len, enum dma_data_direction direction);
int element_end(const struct element_context *context, const struct dmabuf_frame *frame,
		uint64_t len, enum dma_data_direction direction);

/* For each frame: the CPU reads it, @look sees it, it is passed on. Up to the end of the stream. */
int element_look_at_all(struct element_context *context,
			int (*look)(const struct element_context *context,
				    const struct dmabuf_frame *frame, const void *bytes,
				    void *data),
			void *data);

/* The file and stream elements' ways of transfer, see transfer.c and stream.c. */
int transfer_read(struct element_context *context);
int transfer_write(struct element_context *context);
int stream_read(struct element_context *context);
int stream_write(struct element_context *context);

/* The element's process: open its ends of the queue, run, report. Does not return. */
void element_main(struct element *element, bool stages_write) __attribute__((noreturn));

#endif
