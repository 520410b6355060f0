// SPDX-License-Identifier: MIT
/* The question that a program asks, checked and put before the solver. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <dmabuf/constraints.h>

#include "device.h"
#include "error.h"
#include "export.h"
#include "negotiate.h"
#include "options.h"
#include "text.h"

static int bad_count(const char *what, unsigned int count, unsigned int max)
{
	return dmabuf_fail(EINVAL, "request: %s is %u, must be 1 to %u", what, count, max);
}

static int take_size(struct negotiation_question *q)
{
	const struct dma_buf_request *r = &q->request;

	if (r->plane_count > DMA_BUF_MAX_PLANES || (r->plane_count && !r->planes))
		return bad_count("plane_count", r->plane_count, DMA_BUF_MAX_PLANES);
	if (r->plane_count && r->size)
		return dmabuf_fail(EINVAL,
				   "request: size is %" PRIu64
				   ", must be 0: the layout of the planes says it",
				   r->size);
	if (!r->plane_count && (!r->size || r->size > CONSTRAINTS_MAX_SIZE))
		return dmabuf_fail(EINVAL, "request: size is %" PRIu64 ", must be 1 to 2^62",
				   r->size);
	for (unsigned int k = 0; k < r->plane_count; k++) {
		q->planes[k] = r->planes[k];
		if (!q->planes[k].bytes_per_line || q->planes[k].bytes_per_line > UINT32_MAX)
			return dmabuf_fail(EINVAL, "plane %u: bytes_per_line is %" PRIu64, k,
					   q->planes[k].bytes_per_line);
		if (!q->planes[k].lines || q->planes[k].lines > UINT32_MAX)
			return dmabuf_fail(EINVAL, "plane %u: lines is %" PRIu64, k,
					   q->planes[k].lines);
	}
	return 0;
}

static int bad_field(const char *name, const struct constraints_fault *f)
{
	return dmabuf_fail(EINVAL, "%s: %s = 0x%" PRIx64 ": %s", name, f->field, f->value, f->why);
}

/* The parameters in force: of a device that writes, those for writing too. */
static int take_parameters(struct negotiation_question *q, unsigned int i,
			   const struct dma_buf_participant *p)
{
	const struct dma_buf_device_parameters *base = p->parameters, *more = p->write_parameters;
	struct dma_buf_device_parameters writing;
	struct constraints_fault fault;
	int err;

	q->participants[i] = &q->parameters[i];
	if (p->device) {
		device_needs(&q->parameters[i], p->device, p->direction);
		return 0;
	}
	if (base) {
		err = device_parameters_take(&q->parameters[i], base);
		if (err)
			return err;
	} else {
		memset(&q->parameters[i], 0, sizeof(q->parameters[i]));
		q->parameters[i].size = sizeof(q->parameters[i]);
	}
	if (p->direction == DMA_TO_DEVICE || !more)
		return 0;
	err = device_parameters_take(&writing, more);
	if (err)
		return err;
	return constraints_add(&q->parameters[i], &writing, &fault)
		       ? 0
		       : bad_field(q->names[i], &fault);
}

static int take_participants(struct negotiation_question *q)
{
	const struct dma_buf_request *r = &q->request;
	int err = 0;

	if (!r->participants || !r->participant_count ||
	    r->participant_count > DMA_BUF_MAX_PARTICIPANTS)
		return bad_count("participant_count", r->participant_count,
				 DMA_BUF_MAX_PARTICIPANTS);
	for (unsigned int i = 0; i < r->participant_count && !err; i++) {
		const struct dma_buf_participant *p = &r->participants[i];

		q->names[i] = p->device ? p->device->name : p->name;
		err = text_check(q->names[i], DMA_BUF_DEVICE_NAME_LEN, false, "participant name");
		if (!err && p->direction != DMA_TO_DEVICE && p->direction != DMA_FROM_DEVICE &&
		    p->direction != DMA_BIDIRECTIONAL)
			err = dmabuf_fail(EINVAL, "%s: direction is %d, must say how it is used",
					  q->names[i], (int)p->direction);
		if (!err)
			err = take_parameters(q, i, p);
	}
	return err;
}

static bool is_known(const struct dma_buf_request *r, const char *name)
{
	if (constraints_knows(name))
		return true;
	for (unsigned int k = 0; k < r->known_count; k++)
		if (r->known[k] && !strcmp(r->known[k], name))
			return true;
	return false;
}

/* Names of all participants; what can be ignored is forgotten. */
struct names {
	const struct dma_buf_named_parameter *list[DMA_BUF_MERGED_NAMED];
	unsigned int count;
};

static int take_name(struct negotiation_question *q, unsigned int i,
		     struct dma_buf_named_parameter *n, struct names *names)
{
	unsigned int k;

	if (!is_known(&q->request, n->name)) {
		if (!n->ignorable)
			return dmabuf_fail(EOPNOTSUPP,
					   "%s: parameter \"%s\" is not known here, and not marked "
					   "as one that can be ignored",
					   q->names[i], n->name);
		memset(n, 0, sizeof(*n));
		return 0;
	}
	for (k = 0; k < names->count && strcmp(names->list[k]->name, n->name); k++)
		;
	if (k == DMA_BUF_MERGED_NAMED)
		return dmabuf_fail(EINVAL, "%s: \"%s\" is one named parameter too many: %u fit",
				   q->names[i], n->name, DMA_BUF_MERGED_NAMED);
	if (k == names->count)
		names->list[names->count++] = n;
	else if (names->list[k]->rule != n->rule)
		return dmabuf_fail(EINVAL,
				   "%s: parameter \"%s\" has merge rule %u, another participant's "
				   "has %u",
				   q->names[i], n->name, n->rule, names->list[k]->rule);
	return 0;
}

static int take_names(struct negotiation_question *q)
{
	struct names names = { .count = 0 };
	int err = 0;

	for (unsigned int i = 0; i < q->request.participant_count; i++)
		for (unsigned int k = 0; k < DMA_BUF_NAMED_PARAMETERS && !err; k++)
			if (q->parameters[i].named[k].rule)
				err = take_name(q, i, &q->parameters[i].named[k], &names);
	return err;
}

static int check_heap(struct negotiation_question *q, unsigned int h)
{
	struct dma_buf_heap_info *heap = &q->heaps[h];
	struct constraints_fault fault;
	char where[sizeof(heap->where)];
	int err;

	err = text_check(heap->name, DMA_BUF_HEAP_NAME_LEN, false, "heap name");
	/* It becomes part of an explanation. */
	text_copy_untrusted(where, sizeof(where), heap->where, sizeof(heap->where));
	memcpy(heap->where, where, sizeof(where));
	q->heap_list[h] = heap;
	if (!err && !constraints_check_heap(heap, &fault))
		err = bad_field(heap->name, &fault);
	return err;
}

static int copy_heaps(struct negotiation_question *q, const struct dma_buf_heap_info *heaps)
{
	const char *from = (const char *)heaps;
	int err = 0;

	if (!q->request.heap_count || q->request.heap_count > DMA_BUF_MAX_HEAPS)
		return bad_count("heap_count", q->request.heap_count, DMA_BUF_MAX_HEAPS);
	for (unsigned int h = 0; h < q->request.heap_count && !err; h++)
		err = options_take(&q->heaps[h], sizeof(q->heaps[h]), from + h * heaps->size,
				   sizeof(q->heaps[h]), "heap");
	return err;
}

static int look_for_heaps(struct negotiation_question *q)
{
	int count;

	q->heaps[0].size = sizeof(q->heaps[0]);
	count = dma_buf_heap_list(q->heaps, DMA_BUF_MAX_HEAPS);
	if (count < 0)
		return count;
	q->request.heap_count = (unsigned int)count;
	return 0;
}

static int take_heaps(struct negotiation_question *q)
{
	int err = q->request.heaps ? copy_heaps(q, q->request.heaps) : look_for_heaps(q);

	for (unsigned int h = 0; h < q->request.heap_count && !err; h++)
		err = check_heap(q, h);
	return err;
}

static int take(struct negotiation_question *q, const struct dma_buf_request *request)
{
	struct dma_buf_request *r = &q->request;
	int err;

	err = options_take(r, sizeof(*r), request, sizeof(*r), "request");
	if (!err && r->known_count && !r->known)
		err = dmabuf_fail(EINVAL, "request: known is NULL, known_count %u", r->known_count);
	if (!err)
		err = take_size(q);
	if (!err)
		err = take_participants(q);
	if (!err)
		err = take_names(q);
	if (!err)
		err = take_heaps(q);
	if (err)
		return err;
	q->problem = (struct constraints_problem){
		.participants = q->participants,
		.names = q->names,
		.count = r->participant_count,
		.size = r->size,
		.planes = q->planes,
		.plane_count = r->plane_count,
		.heaps = q->heap_list,
		.heap_count = r->heap_count,
		.max_buffers = r->max_buffers,
		.own_tables = r->own_tables,
	};
	return 0;
}

struct negotiation_question *negotiation_ask(const struct dma_buf_request *request, int *err)
{
	struct negotiation_question *q = malloc(sizeof(*q));

	*err = q ? take(q, request) : dmabuf_fail(ENOMEM, "no memory to negotiate");
	if (!*err)
		return q;
	free(q);
	return NULL;
}

DMABUF_PUBLIC int dma_buf_negotiate(const struct dma_buf_request *request,
				    struct dma_buf_negotiation *answer)
{
	struct negotiation_question *q;
	int err;

	if (!answer || answer->struct_size != sizeof(*answer))
		return dmabuf_fail(EINVAL, "negotiation: struct_size must be %zu", sizeof(*answer));
	q = negotiation_ask(request, &err);
	if (!q)
		return err;
	constraints_solve(&q->problem, answer);
	answer->heap_count = q->problem.heap_count;
	for (unsigned int h = 0; h < answer->heap_count; h++)
		memcpy(answer->heap_names[h], q->heaps[h].name, DMA_BUF_HEAP_NAME_LEN);
	free(q);
	return (int)answer->alternative_count;
}

bool negotiation_belongs(const struct constraints_problem *p, const struct dma_buf_negotiation *a)
{
	bool good = a->heap_count == p->heap_count && a->alternative_count <= p->heap_count &&
		    a->rejection_count <= p->heap_count &&
		    a->conflict_count <= DMA_BUF_MAX_CONFLICTS &&
		    a->relaxation_count <= DMA_BUF_MAX_RELAXATIONS;

	good = good && (a->exporter < p->count || a->exporter == DMA_BUF_NOBODY);
	for (unsigned int n = 0; good && n < a->alternative_count; n++)
		good = a->alternatives[n].heap < p->heap_count;
	for (unsigned int n = 0; good && n < a->rejection_count; n++)
		good = a->rejections[n].heap < p->heap_count &&
		       (a->rejections[n].participant < p->count ||
			a->rejections[n].participant == DMA_BUF_NOBODY);
	for (unsigned int n = 0; good && n < a->conflict_count; n++) {
		const struct dma_buf_conflict *c = &a->conflicts[n];

		good = c->count <= DMA_BUF_MAX_PARTICIPANTS;
		for (unsigned int k = 0; good && k < c->count; k++)
			good = c->members[k].participant < p->count;
	}
	for (unsigned int n = 0; good && n < a->relaxation_count; n++) {
		const struct dma_buf_relaxation *r = &a->relaxations[n];

		good = r->count <= DMA_BUF_MAX_CHANGES;
		for (unsigned int k = 0; good && k < r->count; k++)
			good = r->changes[k].participant < p->count ||
			       (r->changes[k].participant == DMA_BUF_NOBODY &&
				((r->changes[k].parameter != DMA_BUF_PARAMETER_AVAILABLE &&
				  r->changes[k].parameter != DMA_BUF_PARAMETER_CAPACITY) ||
				 r->changes[k].from < p->heap_count));
	}
	return good;
}

DMABUF_PUBLIC int dma_buf_explain(const struct dma_buf_request *request,
				  const struct dma_buf_negotiation *answer, char *text, size_t size)
{
	struct negotiation_question *q;
	int err = 0;

	if (!answer || answer->struct_size != sizeof(*answer) || !text || !size)
		return dmabuf_fail(EINVAL, "explain: no answer, or no room for words");
	q = negotiation_ask(request, &err);
	if (!q)
		return err;
	if (!negotiation_belongs(&q->problem, answer))
		err = dmabuf_fail(EINVAL, "explain: the answer does not belong to this request");
	else if (!constraints_explain(&q->problem, answer, text, size))
		err = dmabuf_fail(ENOSPC, "explain: %zu bytes are too few", size);
	free(q);
	return err;
}

DMABUF_PUBLIC const char *dma_buf_parameter_name(unsigned int parameter)
{
	return constraints_parameter(NULL, parameter);
}
