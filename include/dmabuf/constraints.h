/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/**
 * DOC: constraints
 *
 * Devices with different needs share one buffer. Which memory suits them all? dma_buf_negotiate()
 * answers before anything is exported or allocated: with a plan and the alternatives to it, or with
 * the smallest sets of needs that cannot hold together, the values on both sides, and what would
 * make it work.
 *
 * The answer is a pure function of devices, size and heaps. It does not depend on the order of the
 * devices.
 *
 * By default one description of the buffer must do for all devices, as in the kernel: limits are
 * merged, and each device's table obeys the merged ones. With @own_tables each device's table obeys
 * its own limits only, which makes more combinations possible.
 *
 * Segments are counted for the worst case that the heap's description allows, so that what is
 * promised can be kept: a buffer that may begin anywhere between two boundaries counts one more.
 */
#ifndef DMABUF_CONSTRAINTS_H
#define DMABUF_CONSTRAINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dmabuf/device-parameters.h>
#include <dmabuf/dma-direction.h>
#include <dmabuf/heap.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dma_buf_device;

/** DMA_BUF_MAX_PARTICIPANTS - devices in one negotiation */
#define DMA_BUF_MAX_PARTICIPANTS 64
/** DMA_BUF_MAX_PLANES - planes of a picture */
#define DMA_BUF_MAX_PLANES 4
/** DMA_BUF_MAX_CONFLICTS - conflicts that an answer has room for */
#define DMA_BUF_MAX_CONFLICTS 4
/** DMA_BUF_MAX_RELAXATIONS - ways out that an answer has room for */
#define DMA_BUF_MAX_RELAXATIONS 8
/** DMA_BUF_MAX_CHANGES - changes that one way out can consist of */
#define DMA_BUF_MAX_CHANGES 8
/** DMA_BUF_MERGED_NAMED - different named parameters in one negotiation */
#define DMA_BUF_MERGED_NAMED 16
/** DMA_BUF_NOBODY - in place of a participant's or heap's index: none in particular */
#define DMA_BUF_NOBODY UINT32_MAX

/**
 * enum dma_buf_parameter - what can be in the way
 *
 * Up to DMA_BUF_PARAMETER_NAMED + DMA_BUF_NAMED_PARAMETERS - 1: a participant's, named as the
 * fields of struct dma_buf_device_parameters. DMA_BUF_PARAMETER_NAMED + n is its @named[n]. From
 * DMA_BUF_PARAMETER_SIZE on: the request's and the heaps'.
 */
enum dma_buf_parameter {
	DMA_BUF_PARAMETER_MAX_SEGMENT_SIZE = 0,
	DMA_BUF_PARAMETER_MAX_SEGMENT_COUNT = 1,
	DMA_BUF_PARAMETER_SEGMENT_BOUNDARY_MASK = 2,
	DMA_BUF_PARAMETER_DMA_MASK = 3,
	DMA_BUF_PARAMETER_ADDRESS_ALIGNMENT = 4,
	DMA_BUF_PARAMETER_LENGTH_GRANULARITY = 5,
	DMA_BUF_PARAMETER_CONTIGUOUS = 6,
	DMA_BUF_PARAMETER_PAGE_BACKED = 7,
	DMA_BUF_PARAMETER_CPU_NEEDED = 8,
	DMA_BUF_PARAMETER_CPU_FORBIDDEN = 9,
	DMA_BUF_PARAMETER_TRUST_DOMAIN = 10,
	DMA_BUF_PARAMETER_PROTECTED_MEMORY = 11,
	DMA_BUF_PARAMETER_MIN_BUFFERS = 12,
	DMA_BUF_PARAMETER_PHYSICAL = 13,
	DMA_BUF_PARAMETER_LINE_BY_LINE = 14,
	DMA_BUF_PARAMETER_NAMED = 15,
	DMA_BUF_PARAMETER_SIZE = 32,
	DMA_BUF_PARAMETER_MAX_BUFFERS = 33,
	DMA_BUF_PARAMETER_OWN_TABLES = 34,
	DMA_BUF_PARAMETER_HEAP = 35,
	DMA_BUF_PARAMETER_CAPACITY = 36,
	DMA_BUF_PARAMETER_AVAILABLE = 37,
};

/**
 * struct dma_buf_participant - a device that will share the buffer
 * @device: its name and parameters are used; NULL: the next three are
 * @name: 1 to 31 bytes
 * @parameters: NULL: anything will do
 * @write_parameters: needed in addition if @direction says that it writes; NULL: nothing
 * @direction: DMA_TO_DEVICE (it reads), DMA_FROM_DEVICE (it writes), DMA_BIDIRECTIONAL
 *
 * This struct does not grow; what may grow are the parameters, which carry their size.
 */
struct dma_buf_participant {
	struct dma_buf_device *device;
	const char *name;
	const struct dma_buf_device_parameters *parameters;
	const struct dma_buf_device_parameters *write_parameters;
	enum dma_data_direction direction;
};

/**
 * struct dma_buf_plane - one plane of a picture
 * @bytes_per_line: bytes of a line that are looked at, 1 to 2^32
 * @lines: 1 to 2^32
 */
struct dma_buf_plane {
	uint64_t bytes_per_line;
	uint64_t lines;
};

/**
 * struct dma_buf_request - the question
 * @struct_size: sizeof(struct dma_buf_request); lets the struct grow
 * @size: bytes of one buffer, 1 to 2^62; 0 if there are planes, whose layout says it
 * @planes: a picture's planes, NULL: none
 * @plane_count: how many, up to DMA_BUF_MAX_PLANES
 * @participants: who will share it
 * @participant_count: how many, 1 to DMA_BUF_MAX_PARTICIPANTS
 * @heaps: what can be had; NULL: what dma_buf_heap_list() finds
 * @heap_count: how many, up to DMA_BUF_MAX_HEAPS; all entries give the same size
 * @max_buffers: most buffers that the application can afford; 0: no limit
 * @own_tables: each device's table obeys its own limits only
 * @known: names of named parameters that the application takes care of, NULL: none
 * @known_count: how many
 */
struct dma_buf_request {
	size_t struct_size;
	uint64_t size;
	const struct dma_buf_plane *planes;
	unsigned int plane_count;
	const struct dma_buf_participant *participants;
	unsigned int participant_count;
	const struct dma_buf_heap_info *heaps;
	unsigned int heap_count;
	uint64_t max_buffers;
	bool own_tables;
	const char *const *known;
	unsigned int known_count;
};

/**
 * struct dma_buf_alternative - a heap that would do
 * @heap: its index
 * @unmet: participants whose @preferred_segment_size it does not reach
 * @size: bytes that one buffer takes there
 * @alignment: what a buffer's start is a multiple of
 * @chunk: physical pieces that are sure, at most @size
 * @buffers: buffers that the pool should have: preferred, as far as there is room, and at least 1
 */
struct dma_buf_alternative {
	uint32_t heap;
	uint32_t unmet;
	uint64_t size;
	uint64_t alignment;
	uint64_t chunk;
	uint64_t buffers;
};

/**
 * struct dma_buf_plan_participant - what the first alternative means for one participant
 * @segments: entries of its table, at most
 * @max_segment_size: bytes in one of them, at most
 * @cache_maintenance: the device is not coherent, and the memory is cached
 * @preference_met: pieces are as large as it likes them
 */
struct dma_buf_plan_participant {
	uint64_t segments;
	uint64_t max_segment_size;
	bool cache_maintenance;
	bool preference_met;
};

/**
 * struct dma_buf_rejection - why a heap would not do
 * @heap: its index
 * @participant: who cannot live with it; DMA_BUF_NOBODY: nobody in particular
 * @parameter: an enum dma_buf_parameter
 * @needs: what is needed of it
 * @offers: what there is
 */
struct dma_buf_rejection {
	uint32_t heap;
	uint32_t participant;
	uint32_t parameter;
	uint64_t needs;
	uint64_t offers;
};

/**
 * struct dma_buf_conflict_member - one need
 * @participant: whose
 * @parameter: an enum dma_buf_parameter
 * @value: its value
 */
struct dma_buf_conflict_member {
	uint32_t participant;
	uint32_t parameter;
	uint64_t value;
};

/**
 * struct dma_buf_conflict - needs that cannot hold together, of which each is necessary for that
 * @count: how many; 0: there is no heap for this size even if nobody needed anything
 * @members: by participant's name and parameter
 */
struct dma_buf_conflict {
	uint32_t count;
	struct dma_buf_conflict_member members[DMA_BUF_MAX_PARTICIPANTS];
};

/**
 * struct dma_buf_change - one change of the question
 * @participant: whose parameter; DMA_BUF_NOBODY: the request's
 * @parameter: an enum dma_buf_parameter; DMA_BUF_PARAMETER_HEAP: add @wanted_heap
 * @from: its value; of DMA_BUF_PARAMETER_AVAILABLE and _CAPACITY: the heap's index
 * @to: the nearest value that works; of DMA_BUF_PARAMETER_CAPACITY: bytes that must be free
 * @drop: no value works, the need must go
 */
struct dma_buf_change {
	uint32_t participant;
	uint32_t parameter;
	uint64_t from;
	uint64_t to;
	bool drop;
};

/**
 * struct dma_buf_relaxation - changes that together make a plan possible
 * @count: how many
 * @changes: all are necessary
 */
struct dma_buf_relaxation {
	uint32_t count;
	struct dma_buf_change changes[DMA_BUF_MAX_CHANGES];
};

/**
 * struct dma_buf_negotiation - the answer
 * @struct_size: sizeof(struct dma_buf_negotiation), set by the caller; lets the struct grow
 * @size: bytes of one buffer as its users see it
 * @strides: bytes from line to line, of each plane
 * @offsets: where each plane begins
 * @merged: all participants' parameters merged, zeros where there is no limit
 * @named: all named parameters merged
 * @named_count: how many
 * @min_buffers: the participants' added up
 * @preferred_buffers: the same
 * @exporter: who should export if one of the devices has to allocate: whose needs rule out most
 *	heaps; DMA_BUF_NOBODY: any
 * @alternative_count: heaps that would do; 0: none, see conflicts
 * @alternatives: the best one first: fewest unmet preferences, then lowest cost, then as given
 * @participants: as in the request; only if there is a plan
 * @rejection_count: heaps that would not
 * @rejections: why
 * @conflict_count: conflicts found
 * @conflicts: different minimal sets
 * @relaxation_count: ways out found
 * @relaxations: smallest first; each alone is enough
 * @wanted_heap: what a further heap would have to offer, where a relaxation names one
 * @heap_names: of the heaps that were considered
 * @heap_count: how many
 */
struct dma_buf_negotiation {
	size_t struct_size;
	uint64_t size;
	uint64_t strides[DMA_BUF_MAX_PLANES];
	uint64_t offsets[DMA_BUF_MAX_PLANES];
	struct dma_buf_device_parameters merged;
	struct dma_buf_named_parameter named[DMA_BUF_MERGED_NAMED];
	uint32_t named_count;
	uint64_t min_buffers;
	uint64_t preferred_buffers;
	uint32_t exporter;
	uint32_t alternative_count;
	struct dma_buf_alternative alternatives[DMA_BUF_MAX_HEAPS];
	struct dma_buf_plan_participant participants[DMA_BUF_MAX_PARTICIPANTS];
	uint32_t rejection_count;
	struct dma_buf_rejection rejections[DMA_BUF_MAX_HEAPS];
	uint32_t conflict_count;
	struct dma_buf_conflict conflicts[DMA_BUF_MAX_CONFLICTS];
	uint32_t relaxation_count;
	struct dma_buf_relaxation relaxations[DMA_BUF_MAX_RELAXATIONS];
	struct dma_buf_heap_info wanted_heap;
	char heap_names[DMA_BUF_MAX_HEAPS][DMA_BUF_HEAP_NAME_LEN];
	uint32_t heap_count;
};

/**
 * struct dma_buf_allocation - where memory came from in the end
 * @size: sizeof(struct dma_buf_allocation), set by the caller; lets the struct grow
 * @alternative: index in the plan's alternatives
 * @attempts: alternatives that were tried before it
 * @errors: what each of them said, as positive errnos
 */
struct dma_buf_allocation {
	size_t size;
	uint32_t alternative;
	uint32_t attempts;
	int errors[DMA_BUF_MAX_HEAPS];
};

#ifndef DMABUF_DISABLED
/**
 * dma_buf_negotiate - which memory suits all who will share a buffer
 * @request: the question; see struct dma_buf_request
 * @answer: struct_size set; filled in
 *
 * Nothing is exported, attached or allocated (mission row F9).
 *
 * Return: how many heaps would do, the best is the first alternative; 0: none, the answer says why
 * (row F4); -EINVAL with words that name the field (NULL, sizes, counts, names, parameters and
 * heaps that make no sense), -EOPNOTSUPP (a named parameter that nobody knows, by name), -ENOMEM.
 * Never blocks if heaps are given; else see dma_buf_heap_list(). Rows F1, F3, F4, F9.
 */
int dma_buf_negotiate(const struct dma_buf_request *request, struct dma_buf_negotiation *answer);

/**
 * dma_buf_explain - an answer in words
 * @request: the question
 * @answer: what dma_buf_negotiate() made of it
 * @text: filled with lines, always closed by a NUL
 * @size: room in @text, 1 or more; 8192 are enough for most answers
 *
 * Return: 0; -EINVAL (NULL, no room, an answer that does not belong to the question), -ENOSPC (cut
 * short). Never blocks. Row F4.
 */
int dma_buf_explain(const struct dma_buf_request *request, const struct dma_buf_negotiation *answer,
		    char *text, size_t size);

/**
 * dma_buf_parameter_name - what a parameter is called
 * @parameter: an enum dma_buf_parameter
 *
 * Return: a string that lives for ever; "named" for one that has its name elsewhere.
 * Async-signal-safe.
 */
const char *dma_buf_parameter_name(unsigned int parameter);

/**
 * dma_buf_negotiation_alloc - memory by a plan, from the first alternative that has some
 * @answer: a plan
 * @name: the memory's name for others to see, 1 to 31 bytes
 * @allocation: size set; filled in; may be NULL
 *
 * Return: a descriptor, close-on-exec, of zeroed memory; -EINVAL (no plan, sizes, name), or what
 * the last alternative said (see dma_buf_heap_alloc()), with all of them in words. May block. F8.
 */
int dma_buf_negotiation_alloc(const struct dma_buf_negotiation *answer, const char *name,
			      struct dma_buf_allocation *allocation);

/**
 * dma_buf_test_plan - try a plan
 * @request: the question
 * @answer: the plan
 *
 * Memory for one buffer is taken as dma_buf_negotiation_alloc() does, each participant's table is
 * made of where that memory really lies, and participants that are devices map it. Then all is
 * given back. The plan holds for the heaps as they were when it was made; this says whether it does
 * now.
 *
 * Return: 0; else nothing was left, and the words say which participant it does not work for, and
 * why: -EINVAL (no plan, or one that does not belong to the question), -E2BIG (memory is not what
 * the heap said, or at addresses that a device cannot reach), -EPERM (a physical device, and page
 * frames are shown to those with CAP_SYS_ADMIN only), what a device answers, or as
 * dma_buf_negotiation_alloc(). May block. Row F7.
 */
int dma_buf_test_plan(const struct dma_buf_request *request,
		      const struct dma_buf_negotiation *answer);
#else
#include <dmabuf/stubs/constraints.h>
#endif

#ifdef __cplusplus
}
#endif
#endif
