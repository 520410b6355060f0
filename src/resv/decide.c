// SPDX-License-Identifier: MIT OR GPL-2.0-only
#include "resv/decide.h"

static void note(struct resv_queue *q, uint64_t entry)
{
	uint32_t ticket = resv_ticket(entry);

	if (!q->used || resv_before(ticket, q->first))
		q->first = ticket;
	q->used = true;
	if (!resv_is_write(entry))
		return;
	if (!q->has_writer || resv_before(ticket, q->first_writer))
		q->first_writer = ticket;
	q->has_writer = true;
}

void resv_queue_read(struct resv_queue *q, const uint64_t *seen, uint32_t count, uint64_t lock)
{
	uint32_t i;

	*q = (struct resv_queue){ .used = false };
	for (i = 0; i < count; i++) {
		if ((seen[i] & RESV_LOCK) != lock)
			continue;
		if (resv_in_queue(seen[i]))
			note(q, seen[i]);
		if (resv_is_torn(seen[i]))
			q->torn = true;
	}
}

bool resv_queue_grants(const struct resv_queue *q, uint64_t entry, uint32_t generation)
{
	uint32_t ticket = resv_ticket(entry);

	if (resv_state(entry) != RESV_WAITING || resv_before(generation & RESV_TICKET_MASK, ticket))
		return false;
	/* Torn content goes to one at a time, who is told. */
	if (resv_is_write(entry) || q->torn)
		return !resv_before(q->first, ticket);
	return !q->has_writer || !resv_before(q->first_writer, ticket);
}

bool resv_ahead(uint64_t other, uint64_t entry)
{
	return resv_in_queue(other) && resv_before(resv_ticket(other), resv_ticket(entry));
}
