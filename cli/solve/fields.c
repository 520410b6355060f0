// SPDX-License-Identifier: MIT
#include "solve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../json-members.h"

#define PARAMETER(field, type)                                                         \
	{                                                                              \
#field, offsetof(struct dma_buf_device_parameters, field), type, false \
	}
#define MASK(field)                                                                        \
	{                                                                                  \
#field, offsetof(struct dma_buf_device_parameters, field), FIELD_U64, true \
	}
#define HEAP(field, type)                                                      \
	{                                                                      \
#field, offsetof(struct dma_buf_heap_info, field), type, false \
	}

const struct field parameter_fields[] = {
	PARAMETER(max_segment_size, FIELD_U64),
	PARAMETER(max_segment_count, FIELD_U64),
	MASK(segment_boundary_mask),
	MASK(dma_mask),
	PARAMETER(address_alignment, FIELD_U64),
	PARAMETER(length_granularity, FIELD_U64),
	PARAMETER(noncoherent, FIELD_BOOL),
	PARAMETER(trust_domain, FIELD_U64),
	PARAMETER(preferred_segment_size, FIELD_U64),
	PARAMETER(min_buffers, FIELD_U32),
	PARAMETER(preferred_buffers, FIELD_U32),
	PARAMETER(contiguous, FIELD_BOOL),
	PARAMETER(page_backed, FIELD_BOOL),
	PARAMETER(cpu_needed, FIELD_BOOL),
	PARAMETER(cpu_forbidden, FIELD_BOOL),
	PARAMETER(protected_memory, FIELD_BOOL),
	PARAMETER(physical, FIELD_BOOL),
	PARAMETER(line_by_line, FIELD_BOOL),
	{ NULL, 0, FIELD_U64, false },
};

const struct field heap_fields[] = {
	HEAP(chunk, FIELD_U64),
	HEAP(usual_chunk, FIELD_U64),
	HEAP(alignment, FIELD_U64),
	HEAP(granule, FIELD_U64),
	HEAP(max_size, FIELD_U64),
	HEAP(capacity, FIELD_U64),
	{ "highest_address", offsetof(struct dma_buf_heap_info, highest_address), FIELD_U64, true },
	HEAP(trust_domain, FIELD_U64),
	HEAP(cost, FIELD_U32),
	HEAP(page_backed, FIELD_BOOL),
	HEAP(cpu_mappable, FIELD_BOOL),
	HEAP(coherent, FIELD_BOOL),
	HEAP(zeroed, FIELD_BOOL),
	HEAP(available, FIELD_BOOL),
	{ NULL, 0, FIELD_U64, false },
};

uint64_t field_get(const struct field *field, const void *from)
{
	const char *at = (const char *)from + field->offset;
	uint64_t number;
	uint32_t small;
	bool flag;

	if (field->type == FIELD_BOOL) {
		memcpy(&flag, at, sizeof(flag));
		return flag;
	}
	if (field->type == FIELD_U32) {
		memcpy(&small, at, sizeof(small));
		return small;
	}
	memcpy(&number, at, sizeof(number));
	return number;
}

bool field_number(json_object *value, uint64_t *number)
{
	const char *text;
	char *end;

	if (json_object_is_type(value, json_type_int)) {
		if (json_object_get_int64(value) < 0)
			return false;
		*number = json_object_get_uint64(value);
		return true;
	}
	if (!json_object_is_type(value, json_type_string))
		return false;
	text = json_object_get_string(value);
	if (strncmp(text, "0x", 2) != 0)
		return size_parse(text, number);
	errno = 0;
	*number = strtoull(text, &end, 16);
	return !errno && end > text + 2 && !*end;
}

bool field_set(const struct field *field, void *to, json_object *value)
{
	char *at = (char *)to + field->offset;
	uint64_t number;
	uint32_t small;
	bool flag;

	if (field->type == FIELD_BOOL) {
		if (!json_object_is_type(value, json_type_boolean))
			return false;
		flag = json_object_get_boolean(value);
		memcpy(at, &flag, sizeof(flag));
		return true;
	}
	if (!field_number(value, &number))
		return false;
	small = (uint32_t)number;
	if (field->type == FIELD_U32 && small != number)
		return false;
	if (field->type == FIELD_U32)
		memcpy(at, &small, sizeof(small));
	else
		memcpy(at, &number, sizeof(number));
	return true;
}

void fields_add_json(json_object *to, const struct field *fields, const void *from)
{
	for (const struct field *f = fields; f->name; f++) {
		if (f->type == FIELD_BOOL)
			json_add_bool(to, f->name, field_get(f, from));
		else
			json_add_uint(to, f->name, field_get(f, from));
	}
}

static void format(const struct field *field, uint64_t value, char *text, size_t size)
{
	static const char units[] = "KMGT";
	int unit = -1;

	if (field->is_mask) {
		snprintf(text, size, "0x%" PRIx64, value);
		return;
	}
	for (; unit < 3 && value && value % 1024 == 0; unit++)
		value /= 1024;
	snprintf(text, size, "%" PRIu64 "%.1s", value, unit < 0 ? "" : &units[unit]);
}

void fields_describe(const struct field *fields, const void *from, char *text, size_t size)
{
	char number[32];
	size_t used = 0;

	text[0] = '\0';
	for (const struct field *f = fields; f->name && used < size; f++) {
		uint64_t value = field_get(f, from);

		if (!value)
			continue;
		format(f, value, number, sizeof(number));
		used += (size_t)snprintf(text + used, size - used, "%s%s%s%s", used ? ", " : "",
					 f->name, f->type == FIELD_BOOL ? "" : " ",
					 f->type == FIELD_BOOL ? "" : number);
	}
}
