// SPDX-License-Identifier: MIT
/*
 * The coherency core on states as a peer might have left them: sanitized, then led through the
 * input's transitions. Every plan stays inside the buffer, every set stays well-formed.
 */
#include "hostile.h"
#include "coherency.h"

struct op {
	uint8_t what;
	uint8_t access;
	uint16_t start;
	uint16_t end;
};

static void check_set(const struct coherency_set *set, uint64_t size)
{
	uint64_t from = 0;
	uint32_t i;

	HOSTILE_CHECK(set->count <= COHERENCY_RANGES);
	for (i = 0; i < set->count; i++) {
		HOSTILE_CHECK(i ? set->range[i].start > from : true);
		HOSTILE_CHECK(set->range[i].start < set->range[i].end);
		HOSTILE_CHECK(set->range[i].end <= size);
		from = set->range[i].end;
	}
}

static void check_plan(const struct coherency_plan *plan, uint64_t size)
{
	uint32_t i;

	HOSTILE_CHECK(plan->count <= COHERENCY_RANGES && plan->skipped <= 1);
	for (i = 0; i < plan->count; i++) {
		HOSTILE_CHECK(plan->step[i].op >= COHERENCY_CLEAN &&
			      plan->step[i].op <= COHERENCY_FLUSH);
		HOSTILE_CHECK(plan->step[i].range.start < plan->step[i].range.end);
		HOSTILE_CHECK(plan->step[i].range.end <= size);
	}
}

static void step(struct coherency_state *s, uint64_t size, const struct op *op)
{
	enum coherency_access access = 1 + op->access % 3;
	uint64_t start = op->start % (size + 1), end = op->end % (size + 1);
	struct coherency_plan plan = { 0 };

	if (start > end)
		return;
	switch (op->what % 6) {
	case 0:
		coherency_device_begin(s, size, access, &plan);
		break;
	case 1:
		coherency_device_end(s, size, access, &plan);
		break;
	case 2:
		coherency_cpu_begin(s, start, end, access, &plan);
		break;
	case 3:
		coherency_cpu_end(s, start, end, access, &plan);
		break;
	case 4:
		coherency_assume_dirty(s, size);
		break;
	default:
		/* The next holder looks: what we left must make sense to it. */
		HOSTILE_CHECK(coherency_sanitize(s, size, UINT32_MAX));
	}
	check_plan(&plan, size);
	check_set(&s->dirty, size);
	check_set(&s->stale, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coherency_state state;
	uint16_t bytes;
	struct op op;

	if (size < sizeof(bytes) + sizeof(state))
		return 0;
	memcpy(&bytes, data, sizeof(bytes));
	memcpy(&state, data + sizeof(bytes), sizeof(state));
	data += sizeof(bytes) + sizeof(state);
	size -= sizeof(bytes) + sizeof(state);
	coherency_sanitize(&state, bytes + 1u, UINT32_MAX);
	check_set(&state.dirty, bytes + 1u);
	check_set(&state.stale, bytes + 1u);
	for (; size >= sizeof(op); data += sizeof(op), size -= sizeof(op)) {
		memcpy(&op, data, sizeof(op));
		step(&state, bytes + 1u, &op);
	}
	return 0;
}
