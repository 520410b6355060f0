// SPDX-License-Identifier: MIT
/* The heaps of the home's process, as others get to know them. */
#include <string.h>

#include "constraints/constraints.h"
#include "home/wire.h"
#include "text.h"

_Static_assert(sizeof(struct wire_heap) == DMA_BUF_HEAP_NAME_LEN + 8 * 8 + 8 + 128,
	       "no byte of a heap is left undefined");

static uint32_t flags_of(const struct dma_buf_heap_info *h)
{
	return (h->page_backed ? WIRE_HEAP_PAGE_BACKED : 0) |
	       (h->cpu_mappable ? WIRE_HEAP_CPU_MAPPABLE : 0) |
	       (h->coherent ? WIRE_HEAP_COHERENT : 0) | (h->zeroed ? WIRE_HEAP_ZEROED : 0) |
	       (h->available ? WIRE_HEAP_AVAILABLE : 0);
}

void wire_put_heaps(struct wire_heaps *m, const struct dma_buf_heap_info *list, unsigned int count)
{
	memset(m, 0, sizeof(*m));
	m->head = wire_head(WIRE_HEAPS);
	m->count = count;
	for (unsigned int i = 0; i < count; i++) {
		struct wire_heap *to = &m->list[i];

		*to = (struct wire_heap){ .chunk = list[i].chunk,
					  .usual_chunk = list[i].usual_chunk,
					  .alignment = list[i].alignment,
					  .granule = list[i].granule,
					  .max_size = list[i].max_size,
					  .capacity = list[i].capacity,
					  .highest_address = list[i].highest_address,
					  .trust_domain = list[i].trust_domain,
					  .cost = list[i].cost,
					  .flags = flags_of(&list[i]) };
		text_copy(to->name, sizeof(to->name), list[i].name);
		text_copy(to->where, sizeof(to->where), list[i].where);
	}
}

static const char *take_heap(const struct wire_heap *from, struct dma_buf_heap_info *h)
{
	struct constraints_fault fault;

	*h = (struct dma_buf_heap_info){
		.size = sizeof(*h),
		.chunk = from->chunk,
		.usual_chunk = from->usual_chunk,
		.alignment = from->alignment,
		.granule = from->granule,
		.max_size = from->max_size,
		.capacity = from->capacity,
		.highest_address = from->highest_address,
		.trust_domain = from->trust_domain,
		.cost = from->cost,
		.page_backed = from->flags & WIRE_HEAP_PAGE_BACKED,
		.cpu_mappable = from->flags & WIRE_HEAP_CPU_MAPPABLE,
		.coherent = from->flags & WIRE_HEAP_COHERENT,
		.zeroed = from->flags & WIRE_HEAP_ZEROED,
		.available = from->flags & WIRE_HEAP_AVAILABLE,
	};
	text_copy_untrusted(h->name, sizeof(h->name), from->name, sizeof(from->name));
	text_copy_untrusted(h->where, sizeof(h->where), from->where, sizeof(from->where));
	if (!h->name[0] || from->flags & ~WIRE_HEAP_FLAGS || !constraints_check_heap(h, &fault))
		return "one of its heaps makes no sense";
	return NULL;
}

const char *wire_take_heaps(const struct wire_heaps *m,
			    struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS])
{
	const char *wrong = NULL;

	memset(list, 0, DMA_BUF_MAX_HEAPS * sizeof(list[0]));
	if (!m->count || m->count > DMA_BUF_MAX_HEAPS)
		return "it has no heaps, or more than there can be";
	for (uint32_t i = 0; i < m->count && !wrong; i++)
		wrong = take_heap(&m->list[i], &list[i]);
	return wrong;
}
