// SPDX-License-Identifier: MIT
/* png: a picture every so often, as a file of its own that appears when it is whole. */
#include "element.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../command.h"
#include "rgb.h"

struct pictures {
	uint64_t due; /* timestamp from which on the next one is written */
	uint64_t written;
	unsigned char *rgb;
	size_t room;
};

/* One "%d", perhaps with a width like "%06d", and no other "%". */
static bool is_pattern(const char *text)
{
	const char *percent = strchr(text, '%');

	if (!percent || strchr(percent + 1, '%'))
		return false;
	percent++;
	return percent[strspn(percent, "0123456789")] == 'd' && strspn(percent, "0123456789") < 3;
}

static int parse_png(struct element *element, const char *argument)
{
	if (!*argument)
		return usage(element->command, "\"%s\": a directory or a pattern is missing",
			     element->text);
	if (strchr(argument, '%') && !is_pattern(argument))
		return usage(element->command,
			     "\"%s\": a pattern has one %%d, or %%06d and the like", element->text);
	return 0;
}

static int open_png(struct element *element)
{
	struct stat st;

	if (is_pattern(element->argument))
		return 0;
	if (stat(element->argument, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	complain(element->command, "%s: no directory, and no pattern with %%d", element->argument);
	return -1;
}

static void name_picture(const struct element *element, uint64_t sequence, char *path, size_t room)
{
	const char *percent = strchr(element->argument, '%');
	int width;

	if (!percent) {
		snprintf(path, room, "%s/frame-%08" PRIu64 ".png", element->argument, sequence);
		return;
	}
	width = atoi(percent + 1);
	snprintf(path, room, "%.*s%0*" PRIu64 "%s", (int)(percent - element->argument),
		 element->argument, width, sequence, strchr(percent, 'd') + 1);
}

static int write_png(const struct dmabuf_frame *frame, const unsigned char *rgb, int fd)
{
	png_image image = { .version = PNG_IMAGE_VERSION,
			    .width = frame->width,
			    .height = frame->height,
			    .format = PNG_FORMAT_RGB,
			    .flags = PNG_IMAGE_FLAG_FAST };
	int copy = dup(fd), ok;
	FILE *file = copy < 0 ? NULL : fdopen(copy, "wb");

	if (!file) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	ok = png_image_write_to_stdio(&image, file, 0, rgb, 0, NULL);
	png_image_free(&image);
	return fclose(file) == 0 && ok ? 0 : -1;
}

static int save(const struct element_context *context, const struct dmabuf_frame *frame,
		const unsigned char *rgb)
{
	struct output output;
	char path[PATH_MAX];
	const char *what;
	int err;

	name_picture(context->element, frame->sequence, path, sizeof(path));
	err = output_open(&output, path, &what);
	if (err == 0 && write_png(frame, rgb, output.fd) < 0)
		err = errno ? -errno : -EIO;
	if (err == 0)
		err = output_sync(&output);
	if (err == 0)
		err = output_commit(&output);
	output_close(&output);
	return err < 0 ? element_fail(context, "cannot write %s: %s", path, strerror(-err)) : 0;
}

static int make_room(const struct element_context *context, struct pictures *p,
		     const struct dmabuf_frame *frame)
{
	size_t room = (size_t)frame->width * frame->height * 3;
	unsigned char *rgb;

	if (room <= p->room)
		return 0;
	rgb = realloc(p->rgb, room);
	if (!rgb)
		return element_fail(context, "no memory for a picture of %zu bytes", room);
	p->rgb = rgb;
	p->room = room;
	return 0;
}

static int look_png(const struct element_context *context, const struct dmabuf_frame *frame,
		    const void *bytes, void *data)
{
	struct pictures *p = data;

	if (frame->timestamp < p->due)
		return 0;
	if (!rgb_knows(frame))
		return element_fail(context,
				    "frames of format 0x%08x are no picture that can be "
				    "written as PNG",
				    frame->fourcc);
	if (make_room(context, p, frame) < 0)
		return -1;
	rgb_convert(frame, bytes, p->rgb);
	/* In step with the first one, however late this one is. */
	if (!p->written || p->due + context->element->period < frame->timestamp)
		p->due = frame->timestamp;
	p->due += context->element->period;
	p->written++;
	return save(context, frame, p->rgb);
}

static int run_png(struct element_context *context)
{
	struct pictures p = { 0 };
	int err = element_look_at_all(context, look_png, &p);

	free(p.rgb);
	if (err < 0)
		return err;
	element_tell(context, "png", "%" PRIu64 " pictures written", p.written);
	return element_finish(context);
}

const struct element_class png_class = {
	.prefix = "png:",
	.roles = ROLE(ELEMENT_CATCHER),
	.parse = parse_png,
	.open = open_png,
	.run = run_png,
};
