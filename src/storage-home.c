// SPDX-License-Identifier: MIT
/* Asking the home, from which visitors that it turns away come again by themselves. */
#include "storage-deferred.h"

/* That it has ended is no torn content, which -EOWNERDEAD says elsewhere. */
static int answer_of(int answer)
{
	return answer == -EOWNERDEAD ? -EHOSTDOWN : answer;
}

int storage_fetch(struct buffer *b, uint64_t generation, struct home_storage *info)
{
	struct deferred *d = b->storage.deferred;

	return answer_of(home_fetch(&d->address, d->socket, generation, STORAGE_HOME_MS, info));
}

int storage_prepare(struct buffer *b, uint64_t base, const struct storage_plan *plan,
		    struct home_storage *info, struct heap_attempts *attempts)
{
	struct deferred *d = b->storage.deferred;

	return answer_of(home_prepare(&d->address, d->socket, base, plan->heaps, plan->count,
				      STORAGE_HOME_MS, info, attempts));
}

int storage_home_heaps(struct buffer *b, struct dma_buf_heap_info *list)
{
	struct deferred *d = b->storage.deferred;

	return home_heaps(&d->address, d->socket, STORAGE_HOME_MS, list);
}
