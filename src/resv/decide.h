/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What a queue allows now (pure). From one reading of all entries: whom nothing hinders that is
 * before him. Nobody can come in before an entry that has a ticket, so what is found grantable
 * stays so, and no lock is needed to act on it.
 */
#ifndef DMABUF_RESV_DECIDE_H
#define DMABUF_RESV_DECIDE_H

#include "resv/word.h"

struct resv_queue {
	bool used; /* somebody is in the queue */
	bool torn; /* the content is, and nobody has answered for it */
	bool has_writer;
	uint32_t first;	       /* the ticket that is before all others */
	uint32_t first_writer; /* of those that write */
};

/* Read @count entries (private copies), those of @lock's kind (RESV_LOCK or 0). */
void resv_queue_read(struct resv_queue *q, const uint64_t *seen, uint32_t count, uint64_t lock);

/*
 * May @entry, one of those read, be granted, with @generation that of the word read before them? A
 * newer ticket than the word's was read too early to know all that is before it.
 */
bool resv_queue_grants(const struct resv_queue *q, uint64_t entry, uint32_t generation);

/*
 * Is @other ahead of @entry in the queue? Then it may keep it waiting, be it through others: a
 * reader does not wait for a reader, but for the writer between them.
 */
bool resv_ahead(uint64_t other, uint64_t entry);

#endif
