// SPDX-License-Identifier: MIT
/* Devices, planes and heaps described in a JSON file. What is not known is refused by name. */
#include "solve.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct solve_machine *m;
	char *why;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct reader *r, const char *format,
							 ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->why, r->size, format, args);
	va_end(args);
	return false;
}

static bool copy_text(const struct reader *r, char *to, size_t room, json_object *value,
		      const char *what)
{
	const char *text = json_object_get_string(value);

	if (!json_object_is_type(value, json_type_string) || !*text || strlen(text) >= room)
		return refuse(r, "%s: must be a string of 1 to %zu bytes", what, room - 1);
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static const struct field *find_field(const struct field *fields, const char *name)
{
	for (; fields->name; fields++)
		if (!strcmp(fields->name, name))
			return fields;
	return NULL;
}

static bool read_rule(uint32_t *rule, const char *name)
{
	static const char *const names[] = { "max", "min", "mask-and", "or", "must-equal", "sum" };

	for (uint32_t i = 0; i < 6; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*rule = i + 1;
		return true;
	}
	return false;
}

static bool read_named_one(const struct reader *r, struct dma_buf_named_parameter *n,
			   json_object *from)
{
	if (!json_object_is_type(from, json_type_object))
		return refuse(r, "named: each must be an object");
	json_object_object_foreach(from, key, value)
	{
		bool good = true;

		if (!strcmp(key, "name"))
			good = copy_text(r, n->name, sizeof(n->name), value, "named: name");
		else if (!strcmp(key, "rule"))
			good = read_rule(&n->rule, json_object_get_string(value)) ||
			       refuse(r,
				      "named: rule \"%.40s\": must be max, min, mask-and, or, "
				      "must-equal or sum",
				      json_object_get_string(value));
		else if (!strcmp(key, "value"))
			good = field_number(value, &n->value) ||
			       refuse(r, "named: value: must be a number");
		else if (!strcmp(key, "ignorable"))
			n->ignorable = json_object_get_boolean(value);
		else
			good = refuse(r, "named: there is no member \"%.40s\"", key);
		if (!good)
			return false;
	}
	return true;
}

static bool read_named(const struct reader *r, struct dma_buf_device_parameters *p,
		       json_object *from)
{
	size_t count;

	if (!json_object_is_type(from, json_type_array))
		return refuse(r, "named: must be an array");
	count = json_object_array_length(from);
	if (count > DMA_BUF_NAMED_PARAMETERS)
		return refuse(r, "named: %zu parameters, at most %u fit", count,
			      DMA_BUF_NAMED_PARAMETERS);
	for (size_t i = 0; i < count; i++)
		if (!read_named_one(r, &p->named[i], json_object_array_get_idx(from, i)))
			return false;
	return true;
}

static bool read_parameters(const struct reader *r, struct dma_buf_device_parameters *p,
			    json_object *from)
{
	if (!json_object_is_type(from, json_type_object))
		return refuse(r, "parameters: must be an object");
	json_object_object_foreach(from, key, value)
	{
		const struct field *field = find_field(parameter_fields, key);

		if (!strcmp(key, "named")) {
			if (!read_named(r, p, value))
				return false;
		} else if (!field) {
			return refuse(r, "there is no parameter \"%.40s\"", key);
		} else if (!field_set(field, p, value)) {
			return refuse(r, "%s: %.40s is no value for it", key,
				      json_object_to_json_string(value));
		}
	}
	return true;
}

static bool read_direction(const struct reader *r, enum dma_data_direction *to, json_object *value)
{
	static const char *const names[] = { "bidirectional", "to-device", "from-device" };
	const char *text = json_object_get_string(value);

	for (int i = 0; text && i < 3; i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		*to = (enum dma_data_direction)i;
		return true;
	}
	return refuse(r, "direction: must be to-device, from-device or bidirectional");
}

static bool read_device(const struct reader *r, json_object *from)
{
	struct solve_device *d = &r->m->devices[r->m->device_count];

	if (!json_object_is_type(from, json_type_object))
		return refuse(r, "devices: each must be an object");
	memset(d, 0, sizeof(*d));
	d->kind = "file";
	d->known = true;
	d->write_parameters.size = d->parameters.size = sizeof(d->parameters);
	json_object_object_foreach(from, key, value)
	{
		bool good;

		if (!strcmp(key, "name"))
			good = copy_text(r, d->name, sizeof(d->name), value, "devices: name");
		else if (!strcmp(key, "direction"))
			good = read_direction(r, &d->direction, value);
		else if (!strcmp(key, "parameters"))
			good = read_parameters(r, &d->parameters, value);
		else if (!strcmp(key, "write_parameters"))
			good = read_parameters(r, &d->write_parameters, value);
		else
			good = refuse(r, "devices: there is no member \"%.40s\"", key);
		if (!good)
			return false;
	}
	if (!d->name[0])
		return refuse(r, "devices: one has no name");
	r->m->device_count++;
	return true;
}

static bool read_heap(const struct reader *r, json_object *from)
{
	struct dma_buf_heap_info *h = &r->m->heaps[r->m->heap_count];

	if (!json_object_is_type(from, json_type_object))
		return refuse(r, "heaps: each must be an object");
	*h = (struct dma_buf_heap_info){
		.size = sizeof(*h),
		.alignment = 4096,
		.cost = 10,
		.page_backed = true,
		.cpu_mappable = true,
		.zeroed = true,
		.available = true,
		.where = "described in a file",
	};
	json_object_object_foreach(from, key, value)
	{
		const struct field *field = find_field(heap_fields, key);

		if (!strcmp(key, "name")) {
			if (!copy_text(r, h->name, sizeof(h->name), value, "heaps: name"))
				return false;
		} else if (!strcmp(key, "where")) {
			if (!copy_text(r, h->where, sizeof(h->where), value, "heaps: where"))
				return false;
		} else if (!field || !field_set(field, h, value)) {
			return refuse(r, "heaps: \"%.40s\" is no member, or has no value", key);
		}
	}
	r->m->heap_count++;
	return h->name[0] || refuse(r, "heaps: one has no name");
}

static bool read_plane(const struct reader *r, json_object *from)
{
	struct dma_buf_plane *plane = &r->m->planes[r->m->plane_count];

	if (!json_object_is_type(from, json_type_object))
		return refuse(r, "planes: each must be an object");
	json_object_object_foreach(from, key, value)
	{
		uint64_t *to = !strcmp(key, "bytes_per_line") ? &plane->bytes_per_line
			       : !strcmp(key, "lines")	      ? &plane->lines
							      : NULL;

		if (!to || !field_number(value, to))
			return refuse(r, "planes: \"%.40s\" is no member, or no number", key);
	}
	r->m->plane_count++;
	return true;
}

static bool read_array(const struct reader *r, const char *what, json_object *from, size_t room,
		       bool (*read_one)(const struct reader *r, json_object *from))
{
	size_t count;

	if (!json_object_is_type(from, json_type_array))
		return refuse(r, "%s: must be an array", what);
	count = json_object_array_length(from);
	if (count > room)
		return refuse(r, "%s: %zu of them, at most %zu fit", what, count, room);
	for (size_t i = 0; i < count; i++)
		if (!read_one(r, json_object_array_get_idx(from, i)))
			return false;
	return true;
}

static bool read_document(const struct reader *r, json_object *from)
{
	if (!json_object_is_type(from, json_type_object))
		return refuse(r, "must be an object with \"devices\"");
	json_object_object_foreach(from, key, value)
	{
		bool good;

		if (!strcmp(key, "devices")) {
			good = read_array(r, key, value, SOLVE_MAX_DEVICES - r->m->device_count,
					  read_device);
		} else if (!strcmp(key, "heaps")) {
			r->m->heap_count = 0;
			good = read_array(r, key, value, DMA_BUF_MAX_HEAPS, read_heap);
		} else if (!strcmp(key, "planes")) {
			good = read_array(r, key, value, DMA_BUF_MAX_PLANES, read_plane);
		} else {
			good = refuse(r, "there is no member \"%.40s\"", key);
		}
		if (!good)
			return false;
	}
	return true;
}

/* A description is text that somebody wrote by hand. */
#define MAX_FILE (1 << 20)

static json_object *parse_file(const char *path, char *why, size_t size)
{
	char *text = malloc(MAX_FILE);
	json_tokener *tokener = json_tokener_new();
	json_object *document = NULL;
	FILE *f = fopen(path, "re");
	size_t length = 0;

	if (!f || !text || !tokener)
		snprintf(why, size, "%s", strerror(errno));
	else if (!(length = fread(text, 1, MAX_FILE, f)))
		snprintf(why, size, ferror(f) ? "cannot be read" : "is empty");
	else if (length == MAX_FILE)
		snprintf(why, size, "is larger than 1 MiB");
	else if (!(document = json_tokener_parse_ex(tokener, text, (int)length)))
		snprintf(why, size, "no JSON at byte %zu: %s", json_tokener_get_parse_end(tokener),
			 json_tokener_get_error(tokener) == json_tokener_continue
				 ? "it ends too early"
				 : json_tokener_error_desc(json_tokener_get_error(tokener)));
	if (tokener)
		json_tokener_free(tokener);
	if (f)
		fclose(f);
	free(text);
	return document;
}

bool solve_read(struct solve_machine *m, const char *path, unsigned int *first, char *why,
		size_t size)
{
	struct reader r = { .m = m, .why = why, .size = size };
	json_object *document = parse_file(path, why, size);
	bool good;

	*first = m->device_count;
	if (!document)
		return false;
	good = read_document(&r, document);
	json_object_put(document);
	return good;
}
