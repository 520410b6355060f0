// SPDX-License-Identifier: MIT
/* For programs. Fields may be added, but are not renamed or taken away. */
#include "list.h"

#include <json.h>
#include <stdio.h>

static void add_uint(json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_text(json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

static void add_bool(json_object *to, const char *key, bool value)
{
	json_object_object_add(to, key, json_object_new_boolean(value));
}

static json_object *holders(const struct dma_buf_info *info)
{
	json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < info->holder_count; i++) {
		json_object *object = json_object_new_object();

		add_uint(object, "pid", (uint64_t)info->holders[i].pid);
		add_text(object, "label", info->holders[i].label);
		add_bool(object, "alive", info->holders[i].alive);
		add_bool(object, "exporter", info->holders[i].exporter);
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *parameters(const struct dma_buf_device_parameters *p)
{
	json_object *object = json_object_new_object();

	add_uint(object, "max_segment_size", p->max_segment_size);
	add_uint(object, "max_segment_count", p->max_segment_count);
	add_uint(object, "segment_boundary_mask", p->segment_boundary_mask);
	add_uint(object, "dma_mask", p->dma_mask);
	add_uint(object, "address_alignment", p->address_alignment);
	add_uint(object, "length_granularity", p->length_granularity);
	add_bool(object, "noncoherent", p->noncoherent);
	return object;
}

static json_object *attachments(const struct dma_buf_info *info)
{
	json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < info->attachment_count; i++) {
		const struct dma_buf_attachment_info *a = &info->attachments[i];
		json_object *object = json_object_new_object(), *pid = NULL;

		if (a->holder < info->holder_count)
			pid = json_object_new_int64(info->holders[a->holder].pid);
		add_text(object, "device", a->device);
		json_object_object_add(object, "pid", pid);
		add_uint(object, "mapped", a->mapped);
		add_text(object, "direction", ls_direction(a->direction));
		json_object_object_add(object, "parameters", parameters(&a->parameters));
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *counters(const struct dma_buf_counters *c)
{
	json_object *object = json_object_new_object();

	add_uint(object, "cpu_access", c->cpu_access);
	add_uint(object, "maps", c->maps);
	add_uint(object, "cached_maps", c->cached_maps);
	add_uint(object, "sync_needed", c->sync_needed);
	add_uint(object, "sync_done", c->sync_done);
	add_uint(object, "sync_skipped", c->sync_skipped);
	add_uint(object, "recovered", c->recovered);
	return object;
}

static void add_info(json_object *object, const struct dma_buf_info *info)
{
	add_uint(object, "size", info->size);
	add_text(object, "name", info->name);
	add_text(object, "exporter", info->exp_name);
	add_bool(object, "exporter_alive", info->exporter_alive);
	add_bool(object, "read_only", info->read_only);
	add_bool(object, "split", info->split);
	json_object_object_add(object, "counters", counters(&info->counters));
	json_object_object_add(object, "holders", holders(info));
	json_object_object_add(object, "attachments", attachments(info));
}

static json_object *buffer_json(const struct ls_buffer *b)
{
	json_object *object = json_object_new_object(), *processes = json_object_new_array();

	add_uint(object, "inode", b->ino);
	add_uint(object, "device", b->dev);
	add_text(object, "kind", b->kernel ? "kernel" : "native");
	if (b->info)
		add_info(object, b->info);
	if (!b->info && !b->kernel)
		add_text(object, "problem", b->problem);
	if (b->kernel) {
		add_uint(object, "size", b->size);
		add_text(object, "name", b->name);
		add_text(object, "exporter", b->exporter);
		add_uint(object, "references", b->references);
	}
	for (unsigned int i = 0; i < b->process_count; i++) {
		json_object *process = json_object_new_object();

		add_uint(process, "pid", (uint64_t)b->processes[i].pid);
		add_text(process, "command", b->processes[i].command);
		add_uint(process, "descriptors", b->processes[i].descriptors);
		json_object_array_add(processes, process);
	}
	json_object_object_add(object, "processes", processes);
	return object;
}

void ls_print_json(const struct ls_list *list)
{
	json_object *object = json_object_new_object(), *buffers = json_object_new_array();

	add_text(object, "schema", "dmabuf-ls/1");
	for (unsigned int i = 0; i < list->count; i++)
		json_object_array_add(buffers, buffer_json(&list->buffers[i]));
	json_object_object_add(object, "buffers", buffers);
	add_uint(object, "processes", list->processes);
	add_uint(object, "processes_denied", list->denied);
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}
