// SPDX-License-Identifier: MIT
/*
 * What attached devices need, and what follows when one more comes (mission rows F2 to F4).
 */
#include "attachment-constraints.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attachment.h"
#include "device.h"
#include "error.h"
#include "export.h"
#include "heaps/heaps.h"
#include "ownership.h"
#include "shm/parameters.h"
#include "storage-migrate.h"
#include "text.h"

bool attachments_needs_nothing(const struct dma_buf_device_parameters *needs)
{
	for (unsigned int k = 0; k < CONSTRAINTS_PARAMETERS; k++)
		if (k != DMA_BUF_PARAMETER_TRUST_DOMAIN && !constraints_is_neutral(needs, k))
			return false;
	return true;
}

/* What the library does not act on is forgotten if it may be, or if @all. Another one, or NULL. */
static const char *drop_unknown(struct dma_buf_device_parameters *needs, bool all)
{
	for (unsigned int k = 0; k < DMA_BUF_NAMED_PARAMETERS; k++) {
		struct dma_buf_named_parameter *n = &needs->named[k];

		if (!n->rule || constraints_knows(n->name))
			continue;
		if (!n->ignorable && !all)
			return n->name;
		memset(n, 0, sizeof(*n));
	}
	return NULL;
}

int attachments_problem_add(struct attachments_problem *p, const char *name,
			    enum dma_data_direction usage,
			    const struct dma_buf_device_parameters *needs)
{
	struct dma_buf_attach_participant *one = &p->participants[p->problem.count];
	unsigned int i = p->problem.count;
	const char *unknown;

	if (i == DMA_BUF_MAX_PARTICIPANTS)
		return dmabuf_fail(ENOSPC, "more than %u devices at one buffer", i);
	text_copy(one->name, sizeof(one->name), name);
	one->usage = usage;
	one->parameters = *needs;
	p->names[i] = one->name;
	p->parameters[i] = &one->parameters;
	p->problem.count++;
	unknown = drop_unknown(&one->parameters, false);
	if (!unknown)
		return 0;
	return dmabuf_fail(EOPNOTSUPP,
			   "device %s: parameter \"%s\" is not known here, and not marked as one "
			   "that can be ignored",
			   one->name, unknown);
}

static bool is_usage(uint32_t usage)
{
	return usage <= DMA_FROM_DEVICE;
}

/* An entry that no library wrote needs nothing: whoever wrote it may spoil the buffer anyway. */
static int add_entry(struct attachments_problem *p, const struct shm_attachment *shared)
{
	struct dma_buf_device_parameters needs;
	char name[DMA_BUF_DEVICE_NAME_LEN];
	struct shm_attachment copy;

	control_copy(&copy, shared, sizeof(copy));
	if (!copy.owner || (copy.flags & SHM_ATTACHMENT_VOUCHED) || !is_usage(copy.usage) ||
	    !shm_parameters_read(&needs, &copy.parameters))
		return 0;
	text_copy_untrusted(name, sizeof(name), copy.device, sizeof(copy.device));
	return attachments_problem_add(p, name, (enum dma_data_direction)copy.usage, &needs);
}

int attachments_problem(struct buffer *b, struct attachments_problem *p)
{
	int err = 0;

	p->problem = (struct constraints_problem){
		.participants = p->parameters,
		.names = p->names,
		.size = b->base.size,
		.own_tables = b->own_tables,
	};
	p->unfit = false;
	for (unsigned int i = 0; i < DMA_BUF_MAX_ATTACHMENTS && !err; i++)
		if (atomic_load(&b->control.attachments[i].owner))
			err = add_entry(p, &b->control.attachments[i]);
	return err;
}

void attachments_merge_info(const struct dma_buf_info *info, struct attachments_problem *room,
			    struct dma_buf_device_parameters *merged)
{
	struct constraints_problem *p = &room->problem;
	struct constraints_needs needs;

	*p = (struct constraints_problem){ .participants = room->parameters, .size = info->size };
	for (unsigned int i = 0; i < info->attachment_count; i++) {
		struct dma_buf_device_parameters *one = &room->participants[p->count].parameters;

		if (info->attachments[i].vouched || !info->attachments[i].known)
			continue;
		*one = info->attachments[i].parameters;
		(void)drop_unknown(one, true);
		room->parameters[p->count++] = one;
	}
	constraints_merge(p, &needs);
	constraints_tell(p, &needs, merged);
}

static bool asks_for_address(const struct attachments_problem *p)
{
	for (unsigned int i = 0; i < p->problem.count; i++)
		if (p->parameters[i]->physical && p->parameters[i]->dma_mask)
			return true;
	return false;
}

bool attachments_need_nothing(struct buffer *b)
{
	struct dma_buf_device_parameters needs;
	struct shm_parameters copy;

	for (unsigned int i = 0; i < DMA_BUF_MAX_ATTACHMENTS; i++) {
		const struct shm_attachment *a = &b->control.attachments[i];

		if (!atomic_load(&a->owner) ||
		    *(const volatile uint32_t *)&a->flags & SHM_ATTACHMENT_VOUCHED)
			continue;
		control_copy(&copy, &a->parameters, sizeof(copy));
		/* Entries that make no sense count for nothing, see add_entry(). */
		if (shm_parameters_read(&needs, &copy) && !attachments_needs_nothing(&needs))
			return false;
	}
	return true;
}

int attachments_problem_look(struct buffer *b, struct attachments_problem *p)
{
	int count = b->storage.deferred ? storage_list_heaps(b, p->heaps) : 0;

	p->heap_count = count < 0 ? 0 : (unsigned int)count;
	return count < 0 ? count : 0;
}

/* Looking for the highest address is left out where nobody asks: it reads a file. */
void attachments_problem_heap(const struct buffer *b, struct attachments_problem *p)
{
	static const struct heap_places here = { .root = "" };

	if (!b->storage.deferred) {
		memset(&p->heaps[0], 0, sizeof(p->heaps[0]));
		p->heaps[0].size = sizeof(p->heaps[0]);
		heap_fill(&p->heaps[0], "memfd", 10, HEAP_PAGE,
			  asks_for_address(p) ? heap_highest_address(&here) : 0);
		snprintf(p->heaps[0].where, sizeof(p->heaps[0].where),
			 "the memory that the buffer has");
		p->heap_count = 1;
	}
	for (unsigned int h = 0; h < p->heap_count; h++)
		p->heap_list[h] = &p->heaps[h];
	p->problem.heaps = p->heap_list;
	p->problem.heap_count = p->heap_count;
}

int attachments_fit(struct buffer *b, const struct dma_buf_heap_info *heap)
{
	struct attachments_problem *p = malloc(sizeof(*p));
	int ret;

	if (!p)
		return dmabuf_fail(ENOMEM, "no memory to look at a buffer's devices");
	ret = attachments_problem(b, p);
	if (!ret) {
		p->problem.heaps = &heap;
		p->problem.heap_count = 1;
		ret = constraints_feasible(&p->problem);
	}
	free(p);
	return ret;
}

/* The answer, with no words yet. */
static void solve(const struct attachments_problem *p, struct dma_buf_negotiation *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->struct_size = sizeof(*answer);
	constraints_solve(&p->problem, answer);
	answer->heap_count = p->problem.heap_count;
	for (unsigned int h = 0; h < answer->heap_count; h++)
		memcpy(answer->heap_names[h], p->problem.heaps[h]->name, DMA_BUF_HEAP_NAME_LEN);
}

/* The buffer has its memory: one more heap would not help it. */
static void drop_heap_suggestions(struct dma_buf_negotiation *answer)
{
	uint32_t kept = 0;

	for (uint32_t n = 0; n < answer->relaxation_count; n++)
		if (answer->relaxations[n].changes[0].parameter != DMA_BUF_PARAMETER_HEAP)
			answer->relaxations[kept++] = answer->relaxations[n];
	answer->relaxation_count = kept;
}

/* Lines become sentences: @to has @size bytes, and what does not fit is cut. */
static void flatten(char *to, size_t size, const char *from)
{
	char *end = to + size - 1;

	for (bool list = false; *from && to < end; from++) {
		bool last = *from == '\n' && !from[1];

		if (*from != '\n') {
			list = *from == ':';
			*to++ = *from;
			continue;
		}
		if (!last && !list && strncmp(from + 1, "  or ", 5) != 0)
			*to++ = from[1] == ' ' ? ';' : '.';
		while (from[1] == ' ')
			from++;
		if (!last && to < end)
			*to++ = ' ';
		list = false;
	}
	*to = '\0';
}

/* A heap of this machine that would suit all; none: "". May call a registered heap's describe. */
static void find_other_heap(const struct attachments_problem *p, char *name)
{
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(heaps[0]) } };
	struct constraints_problem other = p->problem;
	int count = dma_buf_heap_list(heaps, DMA_BUF_MAX_HEAPS);

	name[0] = '\0';
	for (int h = 0; h < count && !name[0]; h++) {
		const struct dma_buf_heap_info *const heap = &heaps[h];

		other.heaps = &heap;
		other.heap_count = 1;
		if (constraints_feasible(&other))
			text_copy(name, DMA_BUF_HEAP_NAME_LEN, heap->name);
	}
}

static void explain(const struct attachments_problem *p, const struct dma_buf_negotiation *answer,
		    const char *other_heap, char *text, size_t size)
{
	size_t used;

	(void)constraints_explain(&p->problem, answer, text, size);
	used = strlen(text);
	if (other_heap[0])
		snprintf(text + used, size - used,
			 "%sexport the buffer deferred: heap %s would suit\n",
			 answer->relaxation_count ? "  or " : "What would help:\n  ", other_heap);
}

/* In words; with what would help if @look. */
static void describe_refusal(const struct buffer *b, const struct attachment *a,
			     const struct attachments_problem *p, bool look)
{
	struct dma_buf_negotiation *answer = malloc(sizeof(*answer));
	char heap[DMA_BUF_HEAP_NAME_LEN] = "", name[DMA_BUF_NAME_LEN], text[1024];
	char flat[1024];

	control_get_name(&b->control, name);
	if (!answer) {
		dmabuf_fail(EINVAL, "device %s does not suit buffer %s", a->base.dev->name, name);
		return;
	}
	solve(p, answer);
	drop_heap_suggestions(answer);
	if (look)
		find_other_heap(p, heap);
	explain(p, answer, heap, text, sizeof(text));
	flatten(flat, sizeof(flat), text);
	dmabuf_fail(EINVAL, "device %s does not suit buffer %s: %s", a->base.dev->name,
		    name[0] ? name : b->exp_name, flat);
	free(answer);
}

/* An exporter that is asked to override finds the words as the thread's last error. */
static int override(struct buffer *b, struct attachment *a, int verdict)
{
	int (*op)(struct dma_buf *, struct dma_buf_attachment *) =
		b->base.ops->override_constraints;
	int err;

	if (!op)
		return verdict;
	err = op(&b->base, &a->base);
	if (err)
		return verdict;
	a->vouched = true;
	return 0;
}

int attachments_admit(struct buffer *b, struct attachment *a, struct attachments_problem *p)
{
	int err = attachments_problem(b, p);

	if (!err)
		err = attachments_problem_add(p, a->base.dev->name, a->usage, &a->needs);
	if (err)
		return override(b, a, err);
	attachments_problem_heap(b, p);
	if (constraints_feasible(&p->problem))
		return 0;
	if (b->base.ops->override_constraints)
		describe_refusal(b, a, p, false);
	err = override(b, a, -EINVAL);
	p->unfit = err != 0;
	return err;
}

int attachments_refuse(const struct buffer *b, const struct attachment *a,
		       const struct attachments_problem *p)
{
	describe_refusal(b, a, p, true);
	return -EINVAL;
}

/* Asking */

static void fill_report(struct attachments_problem *p, struct dma_buf_attach_report *r)
{
	r->size = p->problem.size;
	r->own_tables = p->problem.own_tables;
	r->participant_count = p->problem.count;
	memset(r->participants, 0, sizeof(r->participants));
	memcpy(r->participants, p->participants, p->problem.count * sizeof(r->participants[0]));
	solve(p, &r->answer);
	drop_heap_suggestions(&r->answer);
	r->fits = r->answer.alternative_count > 0;
	r->other_heap[0] = '\0';
	if (!r->fits)
		find_other_heap(p, r->other_heap);
	explain(p, &r->answer, r->other_heap, r->text, sizeof(r->text));
}

/* The question, and @dev if it is not NULL. */
static int ask(struct buffer *b, const struct dma_buf_device *dev, enum dma_data_direction usage,
	       bool recover, struct attachments_problem *p)
{
	struct dma_buf_device_parameters needs;
	bool nested;
	int err = attachments_problem_look(b, p);

	if (!err)
		err = attachments_lock(b, &nested);
	if (err)
		return err;
	if (recover && !nested)
		ownership_recover(b);
	err = attachments_problem(b, p);
	if (!nested)
		attachments_unlock(b);
	if (!err && dev) {
		device_needs(&needs, dev, usage);
		err = attachments_problem_add(p, dev->name, usage, &needs);
	}
	if (!err)
		attachments_problem_heap(b, p);
	return err;
}

DMABUF_PUBLIC int dma_buf_explain_attach(struct dma_buf *dmabuf, struct dma_buf_device *dev,
					 enum dma_data_direction usage,
					 struct dma_buf_attach_report *report)
{
	struct attachments_problem *p;
	int err = buffer_check(dmabuf);

	if (!err && dev)
		err = direction_check(usage);
	if (!err && (!report || report->struct_size != sizeof(*report)))
		err = dmabuf_fail(EINVAL, "attach report: struct_size must be %zu",
				  sizeof(*report));
	if (err)
		return err;
	p = malloc(sizeof(*p));
	if (!p)
		return dmabuf_fail(ENOMEM, "no memory to look at a buffer's devices");
	err = ask(to_buffer(dmabuf), dev, usage, true, p);
	if (!err) {
		fill_report(p, report);
		err = report->fits;
	}
	free(p);
	return err;
}

static int check_together(const struct attachments_problem *p)
{
	struct dma_buf_negotiation *answer;
	char text[1024], flat[1024];

	if (constraints_feasible(&p->problem))
		return 0;
	answer = malloc(sizeof(*answer));
	if (!answer)
		return dmabuf_fail(ENOMEM, "no memory to explain a conflict");
	solve(p, answer);
	drop_heap_suggestions(answer);
	explain(p, answer, "", text, sizeof(text));
	free(answer);
	flatten(flat, sizeof(flat), text);
	return dmabuf_fail(EINVAL, "the attached devices do not go together: %s", flat);
}

static int get_constraints(struct dma_buf *dmabuf, struct dma_buf_device_parameters *constraints,
			   bool paranoid)
{
	struct attachments_problem *p;
	struct constraints_needs needs;
	int err = buffer_check(dmabuf);

	if (!err && (!constraints || constraints->size != sizeof(*constraints)))
		err = dmabuf_fail(EINVAL, "constraints: size must be %zu", sizeof(*constraints));
	if (err)
		return err;
	p = malloc(sizeof(*p));
	if (!p)
		return dmabuf_fail(ENOMEM, "no memory to look at a buffer's devices");
	err = ask(to_buffer(dmabuf), NULL, DMA_NONE, paranoid, p);
	if (!err && paranoid)
		err = check_together(p);
	if (!err) {
		constraints_merge(&p->problem, &needs);
		constraints_tell(&p->problem, &needs, constraints);
	}
	free(p);
	return err;
}

DMABUF_PUBLIC int dma_buf_get_constraints(struct dma_buf *dmabuf,
					  struct dma_buf_device_parameters *constraints)
{
	return get_constraints(dmabuf, constraints, false);
}

DMABUF_PUBLIC int dma_buf_recalc_constraints(struct dma_buf *dmabuf,
					     struct dma_buf_device_parameters *constraints)
{
	return get_constraints(dmabuf, constraints, true);
}
