// SPDX-License-Identifier: MIT
/* Sources that make their frames, and the sink that drops them: test:, null:. */
#include "element.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../command.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* "frames=N": the limit of a source that would otherwise never end. */
static bool parse_limit(const char *text, const char *name, uint64_t *limit)
{
	size_t len = strlen(name);

	if (strncmp(text, name, len) || text[len] != '=')
		return false;
	return !strcmp(name, "bytes") ? size_parse(text + len + 1, limit)
				      : number_parse(text + len + 1, UINT64_MAX - 1, limit);
}

static int parse_test(struct element *element, const char *argument)
{
	struct picture *p = &element->picture;
	int end = 0;

	element->frames = UINT64_MAX;
	if (sscanf(argument, "%5ux%5u@%4u%n", &p->width, &p->height, &p->fps, &end) != 3 || !end)
		return usage(element->command,
			     "\"%s\": not of the form test:WIDTHxHEIGHT@FPS[,frames=N]",
			     element->text);
	if (argument[end] &&
	    (argument[end] != ',' || !parse_limit(argument + end + 1, "frames", &element->frames)))
		return usage(element->command, "\"%s\": \"%s\" is not ,frames=N", element->text,
			     argument + end);
	if (p->width % 2 || p->height % 2 || p->width < PICTURE_MIN || p->height < PICTURE_MIN ||
	    p->width > PICTURE_MAX || p->height > PICTURE_MAX)
		return usage(element->command,
			     "\"%s\": width and height must be even, from %d to %d", element->text,
			     PICTURE_MIN, PICTURE_MAX);
	return 0;
}

static int make_picture(const struct element_context *context, struct dmabuf_frame *frame,
			uint64_t number)
{
	const struct picture *p = &context->element->picture;
	size_t size = picture_size(p);
	unsigned char *bytes;

	if (size > frame->dmabuf->size)
		return element_fail(context, "a picture of %zu bytes does not fit a buffer of %zu",
				    size, frame->dmabuf->size);
	bytes = element_begin(context, frame, size, DMA_TO_DEVICE);
	if (!bytes)
		return -1;
	picture_draw(p, number, bytes);
	if (element_end(context, frame, size, DMA_TO_DEVICE) < 0)
		return -1;
	frame->used = size;
	frame->fourcc = PICTURE_FOURCC;
	frame->width = p->width;
	frame->height = p->height;
	frame->plane_count = 2;
	frame->planes[0] = (struct dmabuf_frame_plane){ 0, p->width };
	frame->planes[1] = (struct dmabuf_frame_plane){ p->width * p->height, p->width };
	frame->sequence = number;
	frame->timestamp = now_ns();
	return element_pass(context, frame);
}

static int run_test(struct element_context *context)
{
	const struct element *element = context->element;
	uint64_t start = now_ns(), due, late = 0;
	struct dmabuf_frame frame;

	for (uint64_t n = 0; n < element->frames; n++) {
		if (element_next(context, &frame, true) != 1)
			return -1;
		if (element->picture.fps) {
			due = start + n * 1000000000u / element->picture.fps;
			late += now_ns() > due + 1000000000u / element->picture.fps;
			sleep_until(due);
		}
		if (make_picture(context, &frame, n) < 0)
			return -1;
	}
	if (element->picture.fps)
		element_tell(context, "late", "%llu pictures came more than a period late",
			     (unsigned long long)late);
	return element_finish(context);
}

static int parse_null(struct element *element, const char *argument)
{
	element->frames = UINT64_MAX;
	element->bytes = UINT64_MAX;
	if (!*argument)
		return 0;
	if (element->role == ELEMENT_SOURCE && (parse_limit(argument, "frames", &element->frames) ||
						parse_limit(argument, "bytes", &element->bytes)))
		return 0;
	return usage(element->command, "\"%s\": not null:%s", element->text,
		     element->role == ELEMENT_SOURCE ? ", null:frames=N or null:bytes=SIZE" : "");
}

static int clear(const struct element_context *context, const struct dmabuf_frame *frame)
{
	void *bytes = element_begin(context, frame, frame->used, DMA_TO_DEVICE);

	if (!bytes)
		return -1;
	memset(bytes, 0, frame->used);
	return element_end(context, frame, frame->used, DMA_TO_DEVICE);
}

/* New buffers are zero, and stay so unless some stage writes. */
static int run_null_source(struct element_context *context)
{
	uint64_t left = context->element->bytes;
	struct dmabuf_frame frame;

	for (uint64_t n = 0; n < context->element->frames && left; n++) {
		if (element_next(context, &frame, true) != 1)
			return -1;
		frame.used = frame.dmabuf->size < left ? frame.dmabuf->size : left;
		frame.sequence = n;
		frame.timestamp = now_ns();
		left -= frame.used;
		if (context->stages_write && clear(context, &frame) < 0)
			return -1;
		if (element_pass(context, &frame) < 0)
			return -1;
	}
	return element_finish(context);
}

static int run_null(struct element_context *context)
{
	struct dmabuf_frame frame;
	int got;

	if (context->element->role == ELEMENT_SOURCE)
		return run_null_source(context);
	while ((got = element_next(context, &frame, true)) > 0)
		if (element_pass(context, &frame) < 0)
			return -1;
	return got < 0 ? got : element_finish(context);
}

const struct element_class test_class = {
	.prefix = "test:",
	.roles = ROLE(ELEMENT_SOURCE),
	.parse = parse_test,
	.run = run_test,
};

const struct element_class null_class = {
	.prefix = "null:",
	.roles = ROLE(ELEMENT_SOURCE) | ROLE(ELEMENT_SINK),
	.parse = parse_null,
	.run = run_null,
};
