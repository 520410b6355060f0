// SPDX-License-Identifier: MIT
/* What the elements have in common, in their own processes. */
#include "element.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <dmabuf/error.h>
#include <dmabuf/info.h>

#include "../command.h"

/* The pool is sent at once; a runner that takes longer is in trouble. */
#define OPEN_MS 30000
/* The end of one wait for a frame; then it waits again: a slow source is not an error. */
#define NEXT_MS 60000
/* How long a frame's content may be on its way, and its last consumers may take for the end. */
#define FENCE_MS 60000
#define FINISH_MS 30000

static const char *role_name(enum element_role role)
{
	if (role == ELEMENT_SOURCE)
		return "source";
	return role == ELEMENT_SINK ? "sink" : "stage";
}

void element_describe(const struct element *element, char *text, size_t room)
{
	snprintf(text, room, "%s %u (%.100s%s)", role_name(element->role), element->number,
		 element->text, strlen(element->text) > 100 ? "..." : "");
	make_printable(text);
}

__attribute__((format(printf, 3, 0))) static void
notify(const struct element *element, const char *key, const char *format, va_list args)
{
	struct queue_notice notice = { .head = report_head(REPORT_TELL) };

	snprintf(notice.key, sizeof(notice.key), "%s", key);
	vsnprintf(notice.value, sizeof(notice.value), format, args);
	make_printable(notice.value);
	/* If the runner is gone there is nobody to tell. */
	(void)!send(element->control, &notice, sizeof(notice), MSG_NOSIGNAL);
}

int element_fail(const struct element_context *context, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	notify(context->element, "error", format, args);
	va_end(args);
	return -1;
}

void element_tell(const struct element_context *context, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	notify(context->element, key, format, args);
	va_end(args);
}

int element_next(struct element_context *context, struct dmabuf_frame *frame, bool may_wait)
{
	int wait = may_wait ? NEXT_MS : 0, got;

	/* dmabuf catch may have had enough. */
	if (context->in && context->taken == context->element->frames)
		return 0;
	do {
		got = context->in ? dmabuf_queue_take(context->in, frame, wait)
				  : dmabuf_queue_get(context->out, frame, wait);
	} while (got == -EINTR || (got == -ETIMEDOUT && may_wait));
	if (got == -ETIMEDOUT)
		return 2;
	if (got < 0)
		return element_fail(context, "%s", dmabuf_last_error());
	context->taken += context->in && got;
	/* A source gets an empty buffer, of which there is no end. */
	return context->in ? got : 1;
}

int element_pass(const struct element_context *context, const struct dmabuf_frame *frame)
{
	int err = context->out ? dmabuf_queue_put(context->out, frame)
			       : dmabuf_queue_release(context->in, frame);

	if (err == 0)
		return 0;
	return element_fail(context, "%s", dmabuf_last_error());
}

int element_finish(const struct element_context *context)
{
	/* A sink that has taken the end is done when it leaves. */
	if (!context->out || dmabuf_queue_finish(context->out, FINISH_MS) == 0)
		return 0;
	return element_fail(context, "%s", dmabuf_last_error());
}

void *element_begin(const struct element_context *context, const struct dmabuf_frame *frame,
		    uint64_t len, enum dma_data_direction direction)
{
	void *bytes = NULL;

	if (dmabuf_queue_wait_fence(frame, FENCE_MS) == 0)
		bytes = dma_buf_vmap(frame->dmabuf);
	if (bytes && dma_buf_begin_cpu_access(frame->dmabuf, 0, len, direction) == 0) {
		/* The mapping stays as long as the buffer does. */
		dma_buf_vunmap(frame->dmabuf, bytes);
		return bytes;
	}
	element_fail(context, "%s", dmabuf_last_error());
	if (bytes)
		dma_buf_vunmap(frame->dmabuf, bytes);
	return NULL;
}

int element_end(const struct element_context *context, const struct dmabuf_frame *frame,
		uint64_t len, enum dma_data_direction direction)
{
	if (dma_buf_end_cpu_access(frame->dmabuf, 0, len, direction) == 0)
		return 0;
	return element_fail(context, "%s", dmabuf_last_error());
}

int element_look_at_all(struct element_context *context,
			int (*look)(const struct element_context *context,
				    const struct dmabuf_frame *frame, const void *bytes,
				    void *data),
			void *data)
{
	struct dmabuf_frame frame;
	int got, err;

	while ((got = element_next(context, &frame, true)) > 0) {
		const void *bytes = element_begin(context, &frame, frame.used, DMA_FROM_DEVICE);

		if (!bytes)
			return -1;
		err = look(context, &frame, bytes, data);
		if (element_end(context, &frame, frame.used, DMA_FROM_DEVICE) < 0 || err < 0)
			return -1;
		if (element_pass(context, &frame) < 0)
			return -1;
	}
	return got;
}

/* What other holders see: "3 tee:copy" for tee:/some/where/copy. */
static void make_label(const struct element *element, char *label, size_t room)
{
	const char *slash = strrchr(element->text, '/');
	int prefix = (int)(element->argument - element->text);

	if (!slash || !slash[1])
		slash = element->argument - 1;
	snprintf(label, room, "%u %.*s%s", element->number, prefix, element->text, slash + 1);
	make_printable(label);
}

static int open_ends(struct element_context *context)
{
	struct dmabuf_queue_consumer_options reads = { .size = sizeof(reads) };
	struct dmabuf_queue_options makes = { .size = sizeof(makes) };

	if (context->element->role != ELEMENT_SOURCE) {
		context->in = dmabuf_queue_open_input(&reads, OPEN_MS);
		if (!context->in)
			return element_fail(context, "%s", dmabuf_last_error());
	}
	if (context->element->role == ELEMENT_SOURCE && context->element->class->prepare &&
	    context->element->class->prepare(context, &makes) < 0)
		return -1;
	if (context->element->role != ELEMENT_SINK) {
		context->out = dmabuf_queue_open_output(context->in,
							makes.buffer_size ? &makes : NULL, OPEN_MS);
		if (!context->out)
			return element_fail(context, "%s", dmabuf_last_error());
	}
	return 0;
}

static int run_here(struct element_context *context)
{
	const struct element *element = context->element;
	char sockets[64], label[DMA_BUF_NAME_LEN];
	int err;

	/* Ctrl-C reaches the whole group: the runner decides what follows, and ends us. */
	signal(SIGINT, SIG_IGN);
	snprintf(sockets, sizeof(sockets), "1:%d:%d:%d", element->control, element->in,
		 element->out);
	make_label(element, label, sizeof(label));
	if (setenv(DMABUF_QUEUE_ENV, sockets, 1) < 0)
		return element_fail(context, "no memory for the environment");
	(void)dmabuf_set_label(label);
	err = open_ends(context);
	if (err == 0)
		err = element->class->run(context);
	dmabuf_queue_destroy(context->out);
	dmabuf_queue_leave(context->in);
	return err;
}

void element_main(struct element *element, bool stages_write)
{
	struct element_context context = { .element = element, .stages_write = stages_write };
	int err = element->class->foreign ? element->class->run(&context) : run_here(&context);

	_exit(err < 0 ? EXIT_FAILED : EXIT_OK);
}
