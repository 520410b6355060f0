// SPDX-License-Identifier: MIT
/* For programs. Fields may be added, but are not renamed or taken away. */
#include "list.h"

#include <stdio.h>
#include <string.h>

#include "../json-members.h"
#include "../solve/solve.h"

static json_object *holders(const struct dma_buf_info *info)
{
	json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < info->holder_count; i++) {
		json_object *object = json_object_new_object();

		json_add_uint(object, "pid", (uint64_t)info->holders[i].pid);
		json_add_text(object, "label", info->holders[i].label);
		json_add_bool(object, "alive", info->holders[i].alive);
		json_add_bool(object, "exporter", info->holders[i].exporter);
		json_add_uint(object, "storage_accesses", info->holders[i].storage_accesses);
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *parameters(const struct dma_buf_device_parameters *p)
{
	json_object *object = json_object_new_object(), *array = json_object_new_array();

	fields_add_json(object, parameter_fields, p);
	for (unsigned int i = 0; i < DMA_BUF_NAMED_PARAMETERS; i++) {
		const struct dma_buf_named_parameter *n = &p->named[i];
		json_object *named;

		if (!n->rule)
			continue;
		named = json_object_new_object();
		json_add_text(named, "name", n->name);
		json_add_uint(named, "rule", n->rule);
		json_add_bool(named, "ignorable", n->ignorable);
		json_add_uint(named, "value", n->value);
		json_object_array_add(array, named);
	}
	json_object_object_add(object, "named", array);
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
		json_add_text(object, "device", a->device);
		json_object_object_add(object, "pid", pid);
		json_add_uint(object, "mapped", a->mapped);
		json_add_text(object, "direction", ls_direction(a->direction));
		json_object_object_add(object, "parameters", parameters(&a->parameters));
		json_add_text(object, "usage", ls_direction(a->usage));
		json_add_bool(object, "known", a->known);
		json_add_bool(object, "vouched", a->vouched);
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *access_json(const struct dma_buf_info *info,
				const struct dma_buf_access_info *a)
{
	json_object *object = json_object_new_object(), *alive = NULL, *usage = NULL;

	/* null: its owner is gone for good, or nobody knows which it was. */
	if (a->holder < info->holder_count)
		alive = json_object_new_boolean(info->holders[a->holder].alive);
	if (a->fence)
		usage = json_object_new_string(ls_usage(a->usage));
	json_add_text(object, "kind", ls_access_kind(a));
	json_add_text(object, "state", ls_access_state(a->state));
	json_add_uint(object, "pid", (uint64_t)a->pid);
	json_add_text(object, "label", a->label);
	json_object_object_add(object, "alive", alive);
	json_add_bool(object, "write", a->write);
	json_add_bool(object, "device", a->device);
	json_object_object_add(object, "usage", usage);
	json_add_bool(object, "context", a->context);
	json_add_uint(object, "ticket", a->ticket);
	json_add_uint(object, "start", a->start);
	json_add_uint(object, "length", a->length);
	json_add_uint(object, "age_ms", a->age_ms);
	json_add_uint(object, "waits_for", a->waits_for);
	return object;
}

static json_object *accesses(const struct dma_buf_info *info)
{
	json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < info->access_count; i++)
		json_object_array_add(array, access_json(info, &info->accesses[i]));
	return array;
}

static json_object *storage(const struct dma_buf_storage_info *s)
{
	json_object *object, *array;

	if (!s->deferred)
		return NULL;
	object = json_object_new_object();
	array = json_object_new_array();
	json_add_uint(object, "generation", s->generation);
	json_add_text(object, "heap", s->heap);
	json_add_bool(object, "fixed", s->fixed);
	json_add_bool(object, "raw", s->raw);
	json_add_bool(object, "wanted", s->wanted);
	json_add_bool(object, "awaited", s->awaited);
	json_add_bool(object, "moving", s->moving);
	for (unsigned int i = 0; i < s->tried_count; i++) {
		json_object *tried = json_object_new_object();

		json_add_text(tried, "heap", s->tried[i].heap);
		json_add_text(tried, "error", strerror(s->tried[i].error));
		json_object_array_add(array, tried);
	}
	json_object_object_add(object, "tried", array);
	return object;
}

static void add_info(json_object *object, const struct dma_buf_info *info)
{
	json_add_uint(object, "size", info->size);
	json_add_text(object, "name", info->name);
	json_add_text(object, "exporter", info->exp_name);
	json_add_bool(object, "exporter_alive", info->exporter_alive);
	json_add_bool(object, "read_only", info->read_only);
	json_add_bool(object, "split", info->split);
	/* null: it is ordinary memory, from the beginning. */
	json_object_object_add(object, "storage", storage(&info->storage));
	json_object_object_add(object, "counters", json_counters(&info->counters));
	json_object_object_add(object, "holders", holders(info));
	json_object_object_add(object, "attachments", attachments(info));
	json_object_object_add(object, "accesses", accesses(info));
	json_object_object_add(object, "constraints", parameters(&info->constraints));
}

static json_object *buffer_json(const struct ls_buffer *b)
{
	json_object *object = json_object_new_object(), *processes = json_object_new_array();

	json_add_uint(object, "inode", b->ino);
	json_add_uint(object, "device", b->dev);
	json_add_text(object, "kind", b->kernel ? "kernel" : "native");
	if (b->info)
		add_info(object, b->info);
	if (!b->info && !b->kernel)
		json_add_text(object, "problem", b->problem);
	if (b->kernel) {
		json_add_uint(object, "size", b->size);
		json_add_text(object, "name", b->name);
		json_add_text(object, "exporter", b->exporter);
		json_add_uint(object, "references", b->references);
	}
	for (unsigned int i = 0; i < b->process_count; i++) {
		json_object *process = json_object_new_object();

		json_add_uint(process, "pid", (uint64_t)b->processes[i].pid);
		json_add_text(process, "command", b->processes[i].command);
		json_add_uint(process, "descriptors", b->processes[i].descriptors);
		json_object_array_add(processes, process);
	}
	json_object_object_add(object, "processes", processes);
	return object;
}

void ls_print_json(const struct ls_list *list)
{
	json_object *object = json_object_new_object(), *buffers = json_object_new_array();

	json_add_text(object, "schema", "dmabuf-ls/1");
	for (unsigned int i = 0; i < list->count; i++)
		json_object_array_add(buffers, buffer_json(&list->buffers[i]));
	json_object_object_add(object, "buffers", buffers);
	json_add_uint(object, "processes", list->processes);
	json_add_uint(object, "processes_denied", list->denied);
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}
