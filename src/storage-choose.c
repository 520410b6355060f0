// SPDX-License-Identifier: MIT
/* Which storage: from what all attached devices need, once, however many come at the same time. */
#include "storage-deferred.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attachment-constraints.h"
#include "attachment.h"
#include "error.h"
#include "text.h"

struct storage_plan *storage_plan_new(struct buffer *b)
{
	struct storage_plan *plan = calloc(1, sizeof(*plan));
	int count;

	if (!plan)
		return dmabuf_fail_ptr(ENOMEM, "no memory to choose storage");
	count = storage_home_heaps(b, plan->known);
	if (count <= 0) {
		plan->known[0].size = sizeof(plan->known[0]);
		count = dma_buf_heap_list(plan->known, DMA_BUF_MAX_HEAPS);
	}
	plan->known_count = count < 0 ? 0 : (unsigned int)count;
	return plan;
}

/* With nobody attached it is the processor that comes first. */
static int add_processor(struct attachments_problem *p)
{
	const struct dma_buf_device_parameters needs = { .size = sizeof(needs),
							 .cpu_needed = true,
							 .trust_domain = DMA_BUF_TRUST_HOLDERS };

	return p->problem.count ? 0 : attachments_problem_add(p, "cpu", DMA_BIDIRECTIONAL, &needs);
}

static int no_plan(const struct constraints_problem *problem,
		   const struct dma_buf_negotiation *answer)
{
	char text[800];

	(void)constraints_explain(problem, answer, text, sizeof(text));
	return dmabuf_fail(EINVAL, "no heap suits all devices of the buffer: %s", text);
}

static void take_answer(struct storage_plan *plan, const struct dma_buf_negotiation *answer)
{
	plan->count = answer->alternative_count;
	for (unsigned int n = 0; n < plan->count; n++)
		text_copy(plan->heaps[n], DMA_BUF_HEAP_NAME_LEN,
			  plan->known[answer->alternatives[n].heap].name);
}

static int solve(struct storage_plan *plan, struct attachments_problem *p)
{
	const struct dma_buf_heap_info *list[DMA_BUF_MAX_HEAPS];
	struct dma_buf_negotiation *answer = calloc(1, sizeof(*answer));

	if (!answer)
		return dmabuf_fail(ENOMEM, "no memory to choose storage");
	for (unsigned int h = 0; h < plan->known_count; h++)
		list[h] = &plan->known[h];
	p->problem.heaps = list;
	p->problem.heap_count = plan->known_count;
	answer->struct_size = sizeof(*answer);
	constraints_solve(&p->problem, answer);
	take_answer(plan, answer);
	if (!plan->count) {
		int err = no_plan(&p->problem, answer);

		free(answer);
		return err;
	}
	free(answer);
	return 0;
}

int storage_plan_make(struct buffer *b, struct storage_plan *plan)
{
	struct attachments_problem *p = malloc(sizeof(*p));
	int err;

	if (!p)
		return dmabuf_fail(ENOMEM, "no memory to choose storage");
	err = attachments_problem(b, p);
	if (!err)
		err = add_processor(p);
	if (!err)
		err = solve(plan, p);
	free(p);
	return err;
}

int storage_plan_narrow(struct storage_plan *plan, const char *heap)
{
	unsigned int n = 0;

	while (n < plan->count && strcmp(plan->heaps[n], heap) != 0)
		n++;
	if (n == plan->count)
		return dmabuf_fail(EINVAL, "heap %.31s does not suit the devices of the buffer",
				   heap);
	text_copy(plan->heaps[0], DMA_BUF_HEAP_NAME_LEN, heap);
	plan->count = 1;
	return 0;
}

static void record_attempts(struct shm_storage_record *to, const struct heap_attempts *attempts)
{
	uint32_t n;

	to->tried_count = attempts->count < SHM_STORAGE_TRIED ? attempts->count : SHM_STORAGE_TRIED;
	for (n = 0; n < to->tried_count; n++) {
		text_copy(to->tried[n].heap, SHM_STORAGE_HEAP_LEN, attempts->list[n].heap);
		to->tried[n].err = (uint32_t)attempts->list[n].error;
	}
}

/* That of the generation in force must stay readable: the other one. */
static struct shm_storage_record *free_record(const struct buffer *b)
{
	uint64_t used = storage_in_force(b);
	struct shm_storage_record *records = shared_storage(b)->record;

	return used && records[0].generation == used ? &records[1] : &records[0];
}

int storage_record(struct buffer *b, int fd, const struct home_storage *info,
		   const struct heap_attempts *attempts)
{
	struct shm_storage_record *to = free_record(b);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return dmabuf_fail(errno, "fstat of new storage failed: %s", strerror(errno));
	memset(to, 0, sizeof(*to));
	to->payload_dev = st.st_dev;
	to->payload_ino = st.st_ino;
	text_copy(to->heap, sizeof(to->heap), info->heap);
	record_attempts(to, attempts);
	to->generation = info->generation;
	return 0;
}

static void make_fit(char *heap)
{
	char copy[SHM_STORAGE_HEAP_LEN];

	memcpy(copy, heap, sizeof(copy));
	text_copy_untrusted(heap, sizeof(copy), copy, sizeof(copy));
}

bool storage_read_record(const struct control *c, uint64_t generation,
			 struct shm_storage_record *record)
{
	uint32_t n;

	for (n = 0; n < 2; n++) {
		control_copy(record, &c->storage->record[n], sizeof(*record));
		if (record->generation == generation)
			break;
	}
	if (!generation || n == 2)
		return false;
	make_fit(record->heap);
	if (record->tried_count > SHM_STORAGE_TRIED)
		record->tried_count = SHM_STORAGE_TRIED;
	for (n = 0; n < record->tried_count; n++)
		make_fit(record->tried[n].heap);
	return true;
}

/* In force from here on, unless somebody else's is: the next look at the state tells. */
static void put_in_force(struct buffer *b, uint64_t generation)
{
	_Atomic(uint64_t) *place = &shared_storage(b)->state;
	uint64_t state = atomic_load(place);

	for (int turns = 0; turns < STORAGE_TURNS && !storage_generation(state); turns++)
		if (atomic_compare_exchange_weak(place, &state, state | storage_state(generation)))
			return;
}

/* With the list lock held, so that nobody else does, and nobody attaches. */
static int choose(struct buffer *b, struct storage_plan *plan, const char *heap,
		  struct home_storage *info)
{
	struct heap_attempts attempts = { .count = 0 };
	int err, fd;

	err = storage_plan_make(b, plan);
	if (!err && heap)
		err = storage_plan_narrow(plan, heap);
	if (err)
		return err;
	fd = storage_prepare(b, 0, plan, info, &attempts);
	if (fd < 0)
		return fd;
	err = storage_record(b, fd, info, &attempts);
	if (err) {
		close(fd);
		return err;
	}
	put_in_force(b, info->generation);
	return fd;
}

static int install(struct buffer *b, int fd, const struct home_storage *info)
{
	struct deferred *d = b->storage.deferred;
	int err;

	pthread_mutex_lock(&d->lock);
	err = storage_install(b, fd, info);
	pthread_mutex_unlock(&d->lock);
	return err;
}

static int choose_once(struct buffer *b, struct storage_plan *plan, const char *heap)
{
	struct home_storage info;
	bool nested;
	int ret;

	ret = attachments_lock(b, &nested);
	if (ret)
		return ret;
	if (nested)
		return dmabuf_fail(EDEADLK,
				   "an access from inside the exporter's attach or detach, "
				   "before the buffer has storage");
	if (storage_in_force(b)) {
		attachments_unlock(b);
		return 0;
	}
	ret = choose(b, plan, heap, &info);
	attachments_unlock(b);
	return ret < 0 ? ret : install(b, ret, &info);
}

int storage_choose(struct buffer *b, const char *heap)
{
	struct storage_plan *plan = storage_plan_new(b);
	int err;

	if (!plan)
		return -ENOMEM;
	err = choose_once(b, plan, heap);
	free(plan);
	return err;
}
