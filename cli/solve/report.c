// SPDX-License-Identifier: MIT
/* For programs. Fields may be added, but are not renamed or taken away. */
#include "solve.h"

#include "../json-members.h"

static const char *name_of(const struct dma_buf_request *r, uint32_t participant)
{
	return r->participants[participant].name;
}

static void add_participant(json_object *to, const struct dma_buf_request *r, uint32_t participant)
{
	json_object *name = NULL;

	if (participant != DMA_BUF_NOBODY)
		name = json_object_new_string(name_of(r, participant));
	json_object_object_add(to, "participant", name);
}

/* A named parameter is called by its name. */
static void add_parameter(json_object *to, const struct dma_buf_request *r, uint32_t participant,
			  uint32_t parameter)
{
	const char *name = dma_buf_parameter_name(parameter);
	uint32_t slot = parameter - DMA_BUF_PARAMETER_NAMED;

	if (participant != DMA_BUF_NOBODY && slot < DMA_BUF_NAMED_PARAMETERS)
		name = r->participants[participant].parameters->named[slot].name;
	json_add_text(to, "parameter", name);
}

static json_object *alternatives(const struct dma_buf_negotiation *a)
{
	json_object *array = json_object_new_array();

	for (unsigned int n = 0; n < a->alternative_count; n++) {
		const struct dma_buf_alternative *one = &a->alternatives[n];
		json_object *object = json_object_new_object();

		json_add_text(object, "heap", a->heap_names[one->heap]);
		json_add_uint(object, "size", one->size);
		json_add_uint(object, "alignment", one->alignment);
		json_add_uint(object, "chunk", one->chunk);
		json_add_uint(object, "buffers", one->buffers);
		json_add_uint(object, "unmet_preferences", one->unmet);
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *participants(const struct dma_buf_request *r,
				 const struct dma_buf_negotiation *a)
{
	json_object *array = json_object_new_array();

	for (unsigned int i = 0; a->alternative_count && i < r->participant_count; i++) {
		json_object *object = json_object_new_object();

		json_add_text(object, "name", name_of(r, i));
		json_add_uint(object, "segments", a->participants[i].segments);
		json_add_uint(object, "max_segment_size", a->participants[i].max_segment_size);
		json_add_bool(object, "cache_maintenance", a->participants[i].cache_maintenance);
		json_add_bool(object, "preference_met", a->participants[i].preference_met);
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *rejections(const struct dma_buf_request *r, const struct dma_buf_negotiation *a)
{
	json_object *array = json_object_new_array();

	for (unsigned int n = 0; n < a->rejection_count; n++) {
		const struct dma_buf_rejection *one = &a->rejections[n];
		json_object *object = json_object_new_object();

		json_add_text(object, "heap", a->heap_names[one->heap]);
		add_participant(object, r, one->participant);
		add_parameter(object, r, one->participant, one->parameter);
		json_add_uint(object, "needs", one->needs);
		json_add_uint(object, "offers", one->offers);
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *conflicts(const struct dma_buf_request *r, const struct dma_buf_negotiation *a)
{
	json_object *array = json_object_new_array();

	for (unsigned int n = 0; n < a->conflict_count; n++) {
		json_object *members = json_object_new_array();

		for (unsigned int k = 0; k < a->conflicts[n].count; k++) {
			const struct dma_buf_conflict_member *m = &a->conflicts[n].members[k];
			json_object *object = json_object_new_object();

			add_participant(object, r, m->participant);
			add_parameter(object, r, m->participant, m->parameter);
			json_add_uint(object, "value", m->value);
			json_object_array_add(members, object);
		}
		json_object_array_add(array, members);
	}
	return array;
}

static json_object *relaxations(const struct dma_buf_request *r,
				const struct dma_buf_negotiation *a)
{
	json_object *array = json_object_new_array();

	for (unsigned int n = 0; n < a->relaxation_count; n++) {
		json_object *changes = json_object_new_array();

		for (unsigned int k = 0; k < a->relaxations[n].count; k++) {
			const struct dma_buf_change *c = &a->relaxations[n].changes[k];
			json_object *object = json_object_new_object();

			add_participant(object, r, c->participant);
			add_parameter(object, r, c->participant, c->parameter);
			if (c->parameter == DMA_BUF_PARAMETER_AVAILABLE ||
			    c->parameter == DMA_BUF_PARAMETER_CAPACITY)
				json_add_text(object, "heap", a->heap_names[c->from]);
			else
				json_add_uint(object, "from", c->from);
			json_add_uint(object, "to", c->to);
			json_add_bool(object, "drop", c->drop);
			if (c->parameter == DMA_BUF_PARAMETER_HEAP)
				fields_add_json(object, heap_fields, &a->wanted_heap);
			json_object_array_add(changes, object);
		}
		json_object_array_add(array, changes);
	}
	return array;
}

static json_object *planes(const struct dma_buf_request *r, const struct dma_buf_negotiation *a)
{
	json_object *array = json_object_new_array();

	for (unsigned int k = 0; k < r->plane_count; k++) {
		json_object *object = json_object_new_object();

		json_add_uint(object, "offset", a->offsets[k]);
		json_add_uint(object, "stride", a->strides[k]);
		json_object_array_add(array, object);
	}
	return array;
}

static json_object *named(const struct dma_buf_negotiation *a)
{
	json_object *object = json_object_new_object();

	for (unsigned int k = 0; k < a->named_count; k++)
		json_add_uint(object, a->named[k].name, a->named[k].value);
	return object;
}

json_object *solve_json(const struct dma_buf_request *request,
			const struct dma_buf_negotiation *answer, const char *text)
{
	json_object *object = json_object_new_object(), *merged = json_object_new_object();
	json_object *exporter = NULL;

	json_add_text(object, "schema", "dmabuf-solve/1");
	json_add_bool(object, "possible", answer->alternative_count > 0);
	json_add_uint(object, "size", answer->size);
	json_object_object_add(object, "planes", planes(request, answer));
	fields_add_json(merged, parameter_fields, &answer->merged);
	json_object_object_add(merged, "named", named(answer));
	json_object_object_add(object, "merged", merged);
	json_object_object_add(object, "alternatives", alternatives(answer));
	json_object_object_add(object, "participants", participants(request, answer));
	if (answer->exporter != DMA_BUF_NOBODY)
		exporter = json_object_new_string(name_of(request, answer->exporter));
	json_object_object_add(object, "exporter", exporter);
	json_object_object_add(object, "rejections", rejections(request, answer));
	json_object_object_add(object, "conflicts", conflicts(request, answer));
	json_object_object_add(object, "relaxations", relaxations(request, answer));
	json_add_text(object, "text", text);
	return object;
}

void solve_print_json(json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}
