// SPDX-License-Identifier: MIT OR GPL-2.0-only
/* An answer in words. */
#include "constraints.h"

static const char *const fields[] = {
	[DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE] = "max_segment_size",
	[DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT] = "max_segment_count",
	[DMA_BUF_PARAMETER_SEGMENT_BOUNDARY_MASK] = "segment_boundary_mask",
	[DMA_BUF_PARAMETER_DMA_MASK] = "dma_mask",
	[DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT] = "address_alignment",
	[DMA_BUF_PARAMETER_LENGTH_GRANULARITY] = "length_granularity",
	[DMA_BUF_PARAMETER_CONTIGUOUS] = "contiguous",
	[DMA_BUF_PARAMETER_PAGE_BACKED] = "page_backed",
	[DMA_BUF_PARAMETER_CPU_NEEDED] = "cpu_needed",
	[DMA_BUF_PARAMETER_CPU_FORBIDDEN] = "cpu_forbidden",
	[DMA_BUF_PARAMETER_TRUST_DOMAIN] = "trust_domain",
	[DMA_BUF_PARAMETER_PROTECTED_MEMORY] = "protected_memory",
	[DMA_BUF_PARAMETER_MIN_BUFFERS] = "min_buffers",
	[DMA_BUF_PARAMETER_PHYSICAL] = "physical",
	[DMA_BUF_PARAMETER_LINE_BY_LINE] = "line_by_line",
	[DMA_BUF_PARAMETER_SIZE] = "size",
	[DMA_BUF_PARAMETER_MAX_BUFFERS] = "max_buffers",
	[DMA_BUF_PARAMETER_OWN_TABLES] = "own_tables",
	[DMA_BUF_PARAMETER_HEAP] = "heap",
	[DMA_BUF_PARAMETER_CAPACITY] = "capacity",
	[DMA_BUF_PARAMETER_AVAILABLE] = "available",
};

const char *constraints_parameter(const struct dma_buf_device_parameters *p, unsigned int parameter)
{
	if (p && parameter >= DMA_BUF_PARAMETER_NAMED && parameter < CONSTRAINTS_PARAMETERS)
		return p->named[parameter - DMA_BUF_PARAMETER_NAMED].name;
	if (parameter >= sizeof(fields) / sizeof(fields[0]) || !fields[parameter])
		return "named";
	return fields[parameter];
}

static void put_value(struct constraints_text *t, unsigned int parameter, uint64_t value)
{
	switch (parameter) {
	case DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE:
	case DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT:
	case DMA_BUF_PARAMETER_LENGTH_GRANULARITY:
	case DMA_BUF_PARAMETER_CONTIGUOUS:
	case DMA_BUF_PARAMETER_SIZE:
	case DMA_BUF_PARAMETER_CAPACITY:
		constraints_put_size(t, value);
		break;
	case DMA_BUF_PARAMETER_SEGMENT_BOUNDARY_MASK:
	case DMA_BUF_PARAMETER_DMA_MASK:
		constraints_put_hex(t, value);
		break;
	default:
		constraints_put_number(t, value);
	}
}

static bool is_flag(unsigned int parameter)
{
	return parameter == DMA_BUF_PARAMETER_CONTIGUOUS ||
	       parameter == DMA_BUF_PARAMETER_PAGE_BACKED ||
	       parameter == DMA_BUF_PARAMETER_CPU_NEEDED ||
	       parameter == DMA_BUF_PARAMETER_CPU_FORBIDDEN ||
	       parameter == DMA_BUF_PARAMETER_PROTECTED_MEMORY ||
	       parameter == DMA_BUF_PARAMETER_PHYSICAL;
}

static void put_need(struct constraints_text *t, const struct constraints_problem *p, uint32_t i,
		     unsigned int parameter, uint64_t value)
{
	constraints_put(t, p->names[i]);
	constraints_put(t, ": ");
	constraints_put(t, constraints_parameter(p->participants[i], parameter));
	if (is_flag(parameter))
		return;
	constraints_put(t, " ");
	put_value(t, parameter, value);
}

static void put_line(struct constraints_text *t, const char *words, uint64_t value)
{
	constraints_put(t, words);
	put_value(t, DMA_BUF_PARAMETER_SIZE, value);
}

static const struct dma_buf_heap_info *heap_of(const struct constraints_problem *p, uint32_t h)
{
	return p->heaps[h];
}

static void put_mismatch(struct constraints_text *t, const char *needs, const char *has,
			 const struct dma_buf_rejection *r)
{
	constraints_put(t, needs);
	put_value(t, r->parameter, r->needs);
	constraints_put(t, has);
	put_value(t, r->parameter, r->offers);
}

/* What the heap lacks, without saying who minds. */
static void put_lack(struct constraints_text *t, const struct constraints_problem *p,
		     const struct dma_buf_rejection *r)
{
	switch (r->parameter) {
	case DMA_BUF_PARAMETER_AVAILABLE:
		constraints_put(t, "not available: ");
		constraints_put(t, heap_of(p, r->heap)->where);
		break;
	case DMA_BUF_PARAMETER_SIZE:
		put_mismatch(t, "a buffer takes ", ", its largest is ", r);
		break;
	case DMA_BUF_PARAMETER_CAPACITY:
		put_mismatch(t, "the buffers take ", ", free are ", r);
		break;
	case DMA_BUF_PARAMETER_CONTIGUOUS:
		put_mismatch(t, "needs ", " in one piece, its pieces are ", r);
		break;
	case DMA_BUF_PARAMETER_PAGE_BACKED:
		constraints_put(t, "needs memory with page structures, it has none");
		break;
	case DMA_BUF_PARAMETER_CPU_NEEDED:
		constraints_put(t, "needs the CPU to map it, which cannot");
		break;
	case DMA_BUF_PARAMETER_CPU_FORBIDDEN:
		constraints_put(t, "needs memory that the CPU cannot map");
		break;
	case DMA_BUF_PARAMETER_TRUST_DOMAIN:
		put_mismatch(t, "is of trust domain ", ", the memory of ", r);
		break;
	case DMA_BUF_PARAMETER_PROTECTED_MEMORY:
		put_mismatch(t, "needs memory of trust domain ", ", it is of ", r);
		break;
	case DMA_BUF_PARAMETER_DMA_MASK:
		put_mismatch(t, "reaches addresses up to ", ", they go up to ", r);
		break;
	case DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT:
		put_mismatch(t, "needs addresses aligned to ", ", they are to ", r);
		break;
	case DMA_BUF_PARAMETER_LENGTH_GRANULARITY:
		put_mismatch(t, "needs segments in multiples of ", ", pieces end after ", r);
		break;
	case DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE:
		put_mismatch(t, "segments come in multiples of ", ", may have ", r);
		break;
	case DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT:
		put_mismatch(t, "would take ", " segments, may be ", r);
		break;
	default:
		constraints_put(t, "needs contradict each other: ");
		constraints_put(t, constraints_parameter(NULL, r->parameter));
	}
}

static void put_rejections(struct constraints_text *t, const struct constraints_problem *p,
			   const struct dma_buf_negotiation *answer)
{
	for (unsigned int n = 0; n < answer->rejection_count; n++) {
		const struct dma_buf_rejection *r = &answer->rejections[n];

		constraints_put(t, n ? "  " : "Heaps that do not suit:\n  ");
		constraints_put(t, answer->heap_names[r->heap]);
		constraints_put(t, ": ");
		if (r->participant != DMA_BUF_NOBODY) {
			constraints_put(t, p->names[r->participant]);
			constraints_put(t, " ");
		}
		put_lack(t, p, r);
		constraints_put(t, "\n");
	}
}

static void put_participant(struct constraints_text *t, const char *name,
			    const struct dma_buf_plan_participant *one)
{
	constraints_put(t, "  ");
	constraints_put(t, name);
	constraints_put(t, ": ");
	constraints_put_number(t, one->segments);
	put_line(t, one->segments == 1 ? " segment, up to " : " segments at most, up to ",
		 one->max_segment_size);
	constraints_put(t, one->cache_maintenance ? ", cache maintenance" : "");
	constraints_put(t, one->preference_met ? "" : ", would like larger pieces");
	constraints_put(t, "\n");
}

static void put_layout(struct constraints_text *t, const struct constraints_problem *p,
		       const struct dma_buf_negotiation *answer)
{
	for (unsigned int k = 0; k < p->plane_count; k++) {
		constraints_put(t, "  plane ");
		constraints_put_number(t, k);
		constraints_put(t, ": at ");
		constraints_put_number(t, answer->offsets[k]);
		constraints_put(t, ", ");
		constraints_put_number(t, answer->strides[k]);
		constraints_put(t, " bytes from line to line\n");
	}
}

static void put_buffers(struct constraints_text *t, const struct dma_buf_negotiation *answer)
{
	if (!answer->preferred_buffers)
		return;
	constraints_put(t, "Buffers: ");
	constraints_put_number(t, answer->alternatives[0].buffers);
	constraints_put(t, " (needed ");
	constraints_put_number(t, answer->min_buffers);
	constraints_put(t, ", preferred ");
	constraints_put_number(t, answer->preferred_buffers);
	constraints_put(t, ")\n");
}

static void put_exporter(struct constraints_text *t, const struct constraints_problem *p,
			 const struct dma_buf_negotiation *answer)
{
	if (answer->exporter == DMA_BUF_NOBODY)
		return;
	constraints_put(t, "If a device has to export it, that should be ");
	constraints_put(t, p->names[answer->exporter]);
	constraints_put(t, ".\n");
}

static void put_plan(struct constraints_text *t, const struct constraints_problem *p,
		     const struct dma_buf_negotiation *answer)
{
	const struct dma_buf_alternative *a = &answer->alternatives[0];

	constraints_put(t, "Memory from ");
	constraints_put(t, answer->heap_names[a->heap]);
	put_line(t, ": ", a->size);
	put_line(t, ", aligned to ", a->alignment);
	if (a->chunk < a->size)
		put_line(t, ", in pieces of ", a->chunk);
	else
		constraints_put(t, ", in one piece");
	constraints_put(t, "\n");
	put_layout(t, p, answer);
	for (unsigned int i = 0; i < p->count; i++)
		put_participant(t, p->names[i], &answer->participants[i]);
	put_buffers(t, answer);
	put_exporter(t, p, answer);
	for (unsigned int n = 1; n < answer->alternative_count; n++) {
		constraints_put(t, n == 1 ? "Otherwise from " : ", ");
		constraints_put(t, answer->heap_names[answer->alternatives[n].heap]);
	}
	constraints_put(t, answer->alternative_count > 1 ? "\n" : "");
	put_rejections(t, p, answer);
}

static void put_conflict(struct constraints_text *t, const struct constraints_problem *p,
			 const struct dma_buf_conflict *c)
{
	if (!c->count) {
		constraints_put(t,
				"No heap has room for such a buffer, whatever the devices need.\n");
		return;
	}
	constraints_put(t, c->count == 1 ? "No heap offers what this needs:\n"
					 : "These needs cannot hold together:\n");
	for (unsigned int n = 0; n < c->count; n++) {
		constraints_put(t, "  ");
		put_need(t, p, c->members[n].participant, c->members[n].parameter,
			 c->members[n].value);
		constraints_put(t, "\n");
	}
}

static void put_wanted(struct constraints_text *t, const struct dma_buf_negotiation *answer)
{
	const struct dma_buf_heap_info *heap = &answer->wanted_heap;

	constraints_put(t, "add a heap that offers ");
	put_line(t, "", answer->size);
	if (heap->chunk)
		put_line(t, " in pieces of ", heap->chunk);
	else
		constraints_put(t, " in one piece");
	if (heap->alignment > 1)
		put_line(t, ", aligned to ", heap->alignment);
	if (heap->highest_address) {
		constraints_put(t, ", below ");
		constraints_put_hex(t, heap->highest_address);
	}
	constraints_put(t, heap->page_backed ? ", with page structures" : "");
	constraints_put(t, heap->cpu_mappable ? ", mappable by the CPU" : "");
	if (heap->trust_domain) {
		constraints_put(t, ", of trust domain ");
		constraints_put_number(t, heap->trust_domain);
	}
}

static void put_request_change(struct constraints_text *t, const struct constraints_problem *p,
			       const struct dma_buf_negotiation *answer,
			       const struct dma_buf_change *c)
{
	switch (c->parameter) {
	case DMA_BUF_PARAMETER_SIZE:
		put_line(t, "use buffers of at most ", c->to);
		break;
	case DMA_BUF_PARAMETER_MAX_BUFFERS:
		constraints_put(t, "allow ");
		constraints_put_number(t, c->to);
		constraints_put(t, " buffers");
		break;
	case DMA_BUF_PARAMETER_OWN_TABLES:
		constraints_put(t, "give each device a table of its own (own_tables)");
		break;
	case DMA_BUF_PARAMETER_CAPACITY:
		put_line(t, "make ", c->to);
		constraints_put(t, " free in heap ");
		constraints_put(t, answer->heap_names[c->from]);
		break;
	case DMA_BUF_PARAMETER_AVAILABLE:
		constraints_put(t, "make heap ");
		constraints_put(t, answer->heap_names[c->from]);
		constraints_put(t, " available: ");
		constraints_put(t, heap_of(p, (uint32_t)c->from)->where);
		break;
	default:
		put_wanted(t, answer);
	}
}

static void put_change(struct constraints_text *t, const struct constraints_problem *p,
		       const struct dma_buf_negotiation *answer, const struct dma_buf_change *c)
{
	const char *what;

	if (c->participant == DMA_BUF_NOBODY) {
		put_request_change(t, p, answer, c);
		return;
	}
	what = constraints_parameter(p->participants[c->participant], c->parameter);
	constraints_put(t, c->drop ? "drop " : c->to > c->from ? "raise " : "lower ");
	constraints_put(t, what);
	constraints_put(t, c->drop ? " on " : " of ");
	constraints_put(t, p->names[c->participant]);
	if (c->drop)
		return;
	constraints_put(t, " from ");
	put_value(t, c->parameter, c->from);
	constraints_put(t, " to ");
	put_value(t, c->parameter, c->to);
}

static void put_relaxations(struct constraints_text *t, const struct constraints_problem *p,
			    const struct dma_buf_negotiation *answer)
{
	for (unsigned int n = 0; n < answer->relaxation_count; n++) {
		const struct dma_buf_relaxation *r = &answer->relaxations[n];

		constraints_put(t, n ? "  or " : "What would help:\n  ");
		for (unsigned int k = 0; k < r->count; k++) {
			constraints_put(t, k ? " and " : "");
			put_change(t, p, answer, &r->changes[k]);
		}
		constraints_put(t, "\n");
	}
}

bool constraints_explain(const struct constraints_problem *p,
			 const struct dma_buf_negotiation *answer, char *text, size_t size)
{
	struct constraints_text t;

	constraints_text_init(&t, text, size);
	if (answer->alternative_count) {
		put_plan(&t, p, answer);
		return !t.cut;
	}
	for (unsigned int n = 0; n < answer->conflict_count; n++)
		put_conflict(&t, p, &answer->conflicts[n]);
	put_rejections(&t, p, answer);
	put_relaxations(&t, p, answer);
	return !t.cut;
}
