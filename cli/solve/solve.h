/* SPDX-License-Identifier: MIT */
/* What `dmabuf solve`, `dmabuf devices` and `dmabuf doctor` share. */
#ifndef DMABUF_CLI_SOLVE_SOLVE_H
#define DMABUF_CLI_SOLVE_SOLVE_H

#include <json.h>
#include <stdbool.h>
#include <sys/types.h>

#include <dmabuf/constraints.h>
#include <dmabuf/device.h>

#include "../command.h"

#define SOLVE_MAX_DEVICES 256

/* A device of this machine, or one that a file describes. */
struct solve_device {
	char name[DMA_BUF_DEVICE_NAME_LEN];
	const char *kind;
	dev_t number;
	bool known;	   /* else @about says why its needs are not */
	unsigned int from; /* enum dma_buf_parameters_from */
	char about[256];
	enum dma_data_direction direction;
	struct dma_buf_device_parameters parameters;
	struct dma_buf_device_parameters write_parameters;
};

struct solve_machine {
	struct solve_device devices[SOLVE_MAX_DEVICES];
	unsigned int device_count;
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS];
	unsigned int heap_count;
	struct dma_buf_plane planes[DMA_BUF_MAX_PLANES];
	unsigned int plane_count;
};

/* machine.c: the processor, devices, heaps. @trial: of video_look(). */
void solve_look(struct solve_machine *m, bool trial);
/* By name, or by path: "/dev/vda", "v4l2:/dev/video0", "drm:/dev/dri/card0". */
struct solve_device *solve_find(struct solve_machine *m, const char *name);
/* "vivid, captures; told by its driver's table", where that is said of it. */
void solve_describe_source(const struct solve_device *d, char *text, size_t size);

/*
 * file.c: adds the devices of a JSON file to @m; heaps that it describes take the place of this
 * machine's. *@first is the first of its devices. False with words in @why.
 */
bool solve_read(struct solve_machine *m, const char *path, unsigned int *first, char *why,
		size_t size);

/* fields.c: a struct's fields by name; numbers may be strings as "64K" or "0xffff". */
enum field_type { FIELD_U64, FIELD_U32, FIELD_BOOL };

struct field {
	const char *name;
	size_t offset;
	enum field_type type;
	bool is_mask; /* shown in base 16 */
};

extern const struct field parameter_fields[]; /* closed by one without name */
extern const struct field heap_fields[];
uint64_t field_get(const struct field *field, const void *from);
/* False if @value is none for it. */
bool field_set(const struct field *field, void *to, json_object *value);
bool field_number(json_object *value, uint64_t *number);
void fields_add_json(json_object *to, const struct field *fields, const void *from);
/* "max_segment_size 64K, contiguous", of those that are set. */
void fields_describe(const struct field *fields, const void *from, char *text, size_t size);

/* report.c: the answer for programs. */
json_object *solve_json(const struct dma_buf_request *request,
			const struct dma_buf_negotiation *answer, const char *text);

void solve_print_json(json_object *object);

#endif
