/* SPDX-License-Identifier: MIT */
/*
 * Every access to a buffer's bytes is between these two, see storage-deferred.h. Buffers whose
 * storage never changes pay one load.
 */
#ifndef DMABUF_SRC_STORAGE_PIN_H
#define DMABUF_SRC_STORAGE_PIN_H

#include "buffer.h"

enum storage_patience {
	STORAGE_WAIT,	/* until a migration is over; it may also be done here */
	STORAGE_LOCKED, /* the reservation is held, so that none can be waited for to begin */
	STORAGE_TRY,	/* not at all */
};

int storage_pin(struct buffer *b, enum storage_patience patience);
void storage_unpin(struct buffer *b);

/*
 * From here on the storage is chosen, mapped in this process as it is in force, and stays so. 0;
 * -EBUSY with words: with STORAGE_TRY, it would have to wait; -ETIMEDOUT with words that name who
 * moves it; and what the home said.
 */
static inline int storage_access_begin(struct buffer *b, enum storage_patience patience)
{
	return b->storage.deferred ? storage_pin(b, patience) : 0;
}

static inline void storage_access_end(struct buffer *b)
{
	if (b->storage.deferred)
		storage_unpin(b);
}

#endif
