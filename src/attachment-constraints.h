/* SPDX-License-Identifier: MIT */
/*
 * What all who are attached need, as a question to the solver. It is put together anew each time,
 * from checked private copies of the entries of all processes: what no library wrote is left out.
 */
#ifndef DMABUF_SRC_ATTACHMENT_CONSTRAINTS_H
#define DMABUF_SRC_ATTACHMENT_CONSTRAINTS_H

#include <dmabuf/attach.h>
#include <dmabuf/info.h>

#include "buffer.h"
#include "constraints/constraints.h"

struct attachment;

/* 20 KiB of which mostly little is used; from the heap. @problem points into it. */
struct attachments_problem {
	struct constraints_problem problem; /* its heaps: see attachments_problem_heap() */
	struct dma_buf_attach_participant participants[DMA_BUF_MAX_PARTICIPANTS];
	const struct dma_buf_device_parameters *parameters[DMA_BUF_MAX_PARTICIPANTS];
	const char *names[DMA_BUF_MAX_PARTICIPANTS];
	struct dma_buf_heap_info heaps[DMA_BUF_MAX_HEAPS];
	const struct dma_buf_heap_info *heap_list[DMA_BUF_MAX_HEAPS];
	unsigned int heap_count;
	bool unfit; /* no, by attachments_admit() */
};

/*
 * With the list lock held: everybody, and no heap. 0, or -EOPNOTSUPP with words for a named
 * parameter that must not be ignored and is not known.
 */
int attachments_problem(struct buffer *b, struct attachments_problem *p);

/* The same with one more. */
int attachments_problem_add(struct attachments_problem *p, const char *name,
			    enum dma_data_direction usage,
			    const struct dma_buf_device_parameters *needs);

/* Without the list lock: which memory a buffer can have that is not compact. 0; -ENOMEM. */
int attachments_problem_look(struct buffer *b, struct attachments_problem *p);

/* Ask about that, or about the memory that the buffer has. */
void attachments_problem_heap(const struct buffer *b, struct attachments_problem *p);

/*
 * With the list lock held: would memory from @heap suit everybody? 1 or 0, -ENOMEM, -EOPNOTSUPP as
 * above.
 */
int attachments_fit(struct buffer *b, const struct dma_buf_heap_info *heap);

/*
 * With the list lock held: may @a come? 0; -EOPNOTSUPP with words; -EINVAL with @p->unfit, and no
 * words yet: see attachments_refuse().
 */
int attachments_admit(struct buffer *b, struct attachment *a, struct attachments_problem *p);

/* Without any lock: that in words, with what would help. Always -EINVAL. */
int attachments_refuse(const struct buffer *b, const struct attachment *a,
		       const struct attachments_problem *p);

/* From a look from outside: all merged, but for named parameters that are not known. */
void attachments_merge_info(const struct dma_buf_info *info, struct attachments_problem *room,
			    struct dma_buf_device_parameters *merged);

/* With the list lock held: is that all that are attached need? */
bool attachments_need_nothing(struct buffer *b);

/* Whoever needs nothing in particular fits wherever there is ordinary memory. */
bool attachments_needs_nothing(const struct dma_buf_device_parameters *needs);

#endif
