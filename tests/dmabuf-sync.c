// SPDX-License-Identifier: MIT
/* Sync objects: what each call answers in each state, and which accesses exclude each other. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "sync.h"

static const unsigned int types[] = { DMA_BUF_ACCESS_R,	    DMA_BUF_ACCESS_W,
				      DMA_BUF_ACCESS_RW,    DMA_BUF_ACCESS_DMA_R,
				      DMA_BUF_ACCESS_DMA_W, DMA_BUF_ACCESS_DMA_RW };
#define TYPES (sizeof(types) / sizeof(types[0]))

TEST(D1_it_is_supported)
{
	ASSERT(is_dmabuf_sync_supported());
}

TEST(D1_private_data_and_names_are_kept)
{
	struct dma_buf *dmabuf = buffer_new("x");
	char name[DMABUF_SYNC_NAME_LEN + 1];
	struct dmabuf_sync *sync = dmabuf_sync_init(&name, "compositor");
	struct dma_buf_info info;

	ASSERT(sync && dmabuf_sync_priv(sync) == &name);
	ASSERT(!dmabuf_sync_priv(NULL));
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R));
	ASSERT_OK(dmabuf_sync_lock(sync));
	info = peer_info(dmabuf);
	ASSERT_EQ(info.access_count, 1);
	ASSERT_STR_EQ(info.accesses[0].label, "compositor");
	ASSERT_EQ(info.accesses[0].pid, getpid());
	ASSERT_EQ(info.accesses[0].state, DMA_BUF_ACCESS_HELD);
	dmabuf_sync_fini(sync);

	memset(name, 'n', sizeof(name));
	name[DMABUF_SYNC_NAME_LEN] = '\0';
	ASSERT_ERRNO(dmabuf_sync_init(NULL, name), ENAMETOOLONG);
	ASSERT_ERRNO(dmabuf_sync_init(NULL, "line\nbreak"), EINVAL);
	name[DMABUF_SYNC_NAME_LEN - 1] = '\0';
	sync = sync_of(name, dmabuf, DMA_BUF_ACCESS_R);
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_EQ(strlen(peer_info(dmabuf).accesses[0].label), DMA_BUF_ACCESS_LABEL_LEN - 1);
	dmabuf_sync_fini(sync);

	/* Without a name: the program's. */
	sync = dmabuf_sync_init(NULL, NULL);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R));
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_STR_CONTAINS(program_invocation_short_name, peer_info(dmabuf).accesses[0].label);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D1_null_is_answered_and_never_followed)
{
	struct dmabuf_sync *sync = sync_of("x", NULL, 0);
	struct dma_buf_access_info info;

	dmabuf_sync_fini(NULL);
	dmabuf_sync_put(NULL, NULL);
	dmabuf_sync_put(sync, NULL);
	dmabuf_sync_put_all(NULL);
	ASSERT_ERR(dmabuf_sync_get(NULL, NULL, DMA_BUF_ACCESS_R), EFAULT);
	ASSERT_ERR(dmabuf_sync_get(sync, NULL, DMA_BUF_ACCESS_R), EFAULT);
	ASSERT_ERR(dmabuf_sync_get_range(sync, NULL, DMA_BUF_ACCESS_R, 0, 0), EFAULT);
	ASSERT_ERR(dmabuf_sync_lock(NULL), EFAULT);
	ASSERT_ERR(dmabuf_sync_lock_timeout(NULL, 1), EFAULT);
	ASSERT_ERR(dmabuf_sync_lock_interruptible(NULL, 1), EFAULT);
	ASSERT_ERR(dmabuf_sync_trylock(NULL), EFAULT);
	ASSERT_ERR(dmabuf_sync_unlock(NULL), EFAULT);
	ASSERT(!dmabuf_sync_is_locked(NULL));
	ASSERT_ERR(dmabuf_sync_set_lease(NULL, 1), EFAULT);
	ASSERT_ERR(dmabuf_sync_get_torn(NULL, NULL, &info, 1), EFAULT);
	ASSERT_ERR(dmabuf_sync_repaired(NULL, NULL), EFAULT);
	ASSERT_ERR(dmabuf_sync_single_lock(NULL, DMA_BUF_ACCESS_R, false), EFAULT);
	ASSERT_ERR(dmabuf_sync_single_unlock(NULL), EFAULT);
	ASSERT_ERR(dma_buf_set_max_lease(NULL, 1), EINVAL);
	dmabuf_sync_fini(sync);
}

TEST(D1_an_empty_object_cannot_be_locked)
{
	struct dmabuf_sync *sync = sync_of("x", NULL, 0);

	ASSERT_ERR(dmabuf_sync_lock(sync), EINVAL);
	ASSERT_ERR(dmabuf_sync_trylock(sync), EINVAL);
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, 1), EINVAL);
	ASSERT_ERR(dmabuf_sync_lock_interruptible(sync, LONG_MAX), EINVAL);
	ASSERT_ERR(dmabuf_sync_unlock(sync), EAGAIN);
	ASSERT(!dmabuf_sync_is_locked(sync));
	dmabuf_sync_fini(sync);
}

static void refuse_while_unlocked(struct dmabuf_sync *sync, struct dma_buf *dmabuf)
{
	struct dma_buf_access_info info;

	ASSERT_ERR(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W), EEXIST);
	ASSERT_ERR(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R), EEXIST);
	ASSERT_ERR(dmabuf_sync_unlock(sync), EAGAIN);
	ASSERT_ERR(dmabuf_sync_get_torn(sync, dmabuf, &info, 1), EAGAIN);
	ASSERT_ERR(dmabuf_sync_repaired(sync, dmabuf), EAGAIN);
	ASSERT(!dmabuf_sync_is_locked(sync));
	ASSERT_ERR(dmabuf_sync_lock_timeout(sync, -1), EINVAL);
	ASSERT_ERR(dmabuf_sync_lock_interruptible(sync, LONG_MIN), EINVAL);
}

static void refuse_while_locked(struct dmabuf_sync *sync, struct dma_buf *dmabuf,
				struct dma_buf *other)
{
	struct dma_buf_access_info info;

	ASSERT(dmabuf_sync_is_locked(sync));
	ASSERT_ERR(dmabuf_sync_lock(sync), EINVAL);
	ASSERT_ERR(dmabuf_sync_trylock(sync), EINVAL);
	ASSERT_ERR(dmabuf_sync_get(sync, other, DMA_BUF_ACCESS_W), EBUSY);
	ASSERT_ERR(dmabuf_sync_set_lease(sync, 100), EBUSY);
	ASSERT_EQ(dmabuf_sync_get_torn(sync, dmabuf, &info, 1), 0);
	ASSERT_EQ(dmabuf_sync_get_torn(sync, dmabuf, NULL, 0), 0);
	ASSERT_ERR(dmabuf_sync_get_torn(sync, dmabuf, NULL, 1), EFAULT);
	ASSERT_ERR(dmabuf_sync_get_torn(sync, other, &info, 1), ENOENT);
	ASSERT_ERR(dmabuf_sync_repaired(sync, other), ENOENT);
	ASSERT_OK(dmabuf_sync_repaired(sync, dmabuf));
	dmabuf_sync_put(sync, other);
	ASSERT(dmabuf_sync_is_locked(sync));
}

TEST(D1_what_each_state_refuses)
{
	struct dma_buf *dmabuf = buffer_new("x"), *other = buffer_new("y");
	struct dmabuf_sync *sync = sync_of("x", dmabuf, DMA_BUF_ACCESS_W);
	int i;

	/* Again and again: the first lock of an object is not taken as those after it are. */
	for (i = 0; i < 3; i++) {
		refuse_while_unlocked(sync, dmabuf);
		ASSERT_OK(dmabuf_sync_lock(sync));
		refuse_while_locked(sync, dmabuf, other);
		ASSERT_OK(dmabuf_sync_unlock(sync));
	}
	ASSERT_ERR(dmabuf_sync_unlock(sync), EAGAIN);
	ASSERT_OK(dmabuf_sync_trylock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(other);
	dma_buf_put(dmabuf);
}

TEST(D1_putting_a_buffer_gives_it_back)
{
	struct dma_buf *dmabuf[2] = { buffer_new("x"), buffer_new("y") };
	struct dmabuf_sync *sync = sync_of("x", dmabuf[0], DMA_BUF_ACCESS_W);

	ASSERT_OK(dmabuf_sync_get(sync, dmabuf[1], DMA_BUF_ACCESS_W));
	ASSERT_OK(dmabuf_sync_lock(sync));
	dmabuf_sync_put(sync, dmabuf[0]);
	ASSERT_EQ(accesses_in(dmabuf[0], DMA_BUF_ACCESS_HELD), 0);
	ASSERT_EQ(accesses_in(dmabuf[1], DMA_BUF_ACCESS_HELD), 1);
	ASSERT(dmabuf_sync_is_locked(sync));
	dmabuf_sync_put_all(sync);
	ASSERT_EQ(accesses_in(dmabuf[1], DMA_BUF_ACCESS_HELD), 0);
	ASSERT(!dmabuf_sync_is_locked(sync));
	ASSERT_ERR(dmabuf_sync_unlock(sync), EAGAIN);
	ASSERT_ERR(dmabuf_sync_lock(sync), EINVAL);
	/* It can be filled anew. */
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf[1], DMA_BUF_ACCESS_R));
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	ASSERT_OK(dmabuf_sync_lock(sync));
	dmabuf_sync_fini(sync);
	ASSERT_EQ(accesses_in(dmabuf[1], DMA_BUF_ACCESS_HELD), 0);
	dma_buf_put(dmabuf[0]);
	dma_buf_put(dmabuf[1]);
}

TEST(D1_an_object_keeps_its_buffers)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *sync = sync_of("x", dmabuf, DMA_BUF_ACCESS_W);

	dma_buf_put(dmabuf);
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_EQ(dmabuf->size, 4096);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	ASSERT_EQ(buffer_mappings(), 0);
}

TEST(D1_ranges_lie_within_the_buffer)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *sync = sync_of("x", NULL, 0);
	struct dma_buf_info info;

	ASSERT_ERR(dmabuf_sync_get_range(sync, dmabuf, DMA_BUF_ACCESS_W, 0, 4097), EINVAL);
	ASSERT_ERR(dmabuf_sync_get_range(sync, dmabuf, DMA_BUF_ACCESS_W, 4097, 0), EINVAL);
	ASSERT_ERR(dmabuf_sync_get_range(sync, dmabuf, DMA_BUF_ACCESS_W, 2, SIZE_MAX), EINVAL);
	ASSERT_ERR(dmabuf_sync_get_range(sync, dmabuf, DMA_BUF_ACCESS_W, SIZE_MAX, 2), EINVAL);
	ASSERT_OK(dmabuf_sync_get_range(sync, dmabuf, DMA_BUF_ACCESS_W, 100, 3996));
	ASSERT_OK(dmabuf_sync_lock(sync));
	info = peer_info(dmabuf);
	ASSERT_EQ(info.accesses[0].start, 100);
	ASSERT_EQ(info.accesses[0].length, 3996);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D1_a_buffer_has_room_for_so_many_accesses)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *sync[DMA_BUF_MAX_ACCESSES], *more;
	unsigned int i;

	for (i = 0; i < DMA_BUF_MAX_ACCESSES; i++)
		sync[i] = sync_of("x", dmabuf, DMA_BUF_ACCESS_R);
	more = sync_of("more", NULL, 0);
	ASSERT_ERR(dmabuf_sync_get(more, dmabuf, DMA_BUF_ACCESS_R), ENOSPC);
	ASSERT_ERR(dmabuf_sync_lock(more), EINVAL);
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, false), ENOSPC);
	/* Readers beyond those that the word has bits for share all the same. */
	for (i = 0; i < DMA_BUF_MAX_ACCESSES; i++)
		ASSERT_OK(dmabuf_sync_trylock(sync[i]));
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), DMA_BUF_MAX_ACCESSES);
	dmabuf_sync_put_all(sync[7]);
	ASSERT_OK(dmabuf_sync_get(more, dmabuf, DMA_BUF_ACCESS_W));
	ASSERT_ERR(dmabuf_sync_trylock(more), EBUSY);
	for (i = 0; i < DMA_BUF_MAX_ACCESSES; i++)
		dmabuf_sync_fini(sync[i]);
	ASSERT_OK(dmabuf_sync_trylock(more));
	dmabuf_sync_fini(more);
	dma_buf_put(dmabuf);
}

TEST(D1_a_buffer_that_is_put_and_got_over_and_over_finds_its_place)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *sync = sync_of("x", NULL, 0);
	int i;

	for (i = 0; i < 1000; i++) {
		ASSERT_OK(dmabuf_sync_get(sync, dmabuf, types[i % TYPES]));
		ASSERT_OK(dmabuf_sync_trylock(sync));
		if (i % 3)
			ASSERT_OK(dmabuf_sync_unlock(sync));
		dmabuf_sync_put_all(sync);
	}
	ASSERT_EQ(peer_info(dmabuf).access_count, 0);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D2_six_access_types_and_no_other)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *sync = sync_of("x", NULL, 0);
	unsigned int type, i;

	for (type = 0; type < 4096; type++) {
		bool known = false;

		for (i = 0; i < TYPES; i++)
			known |= types[i] == type;
		if (known) {
			ASSERT_OK(dmabuf_sync_get(sync, dmabuf, type));
			dmabuf_sync_put(sync, dmabuf);
			ASSERT_OK(dmabuf_sync_single_lock(dmabuf, type, false));
			ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
		} else {
			ASSERT_ERR(dmabuf_sync_get(sync, dmabuf, type), EINVAL);
			ASSERT_ERR(dmabuf_sync_get_range(sync, dmabuf, type, 0, 1), EINVAL);
			ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, type, false), EINVAL);
		}
	}
	for (i = 12; i < 32; i++)
		ASSERT_ERR(dmabuf_sync_get(sync, dmabuf, 1u << i | DMA_BUF_ACCESS_R), EINVAL);
	ASSERT_ERR(dmabuf_sync_get(sync, dmabuf, UINT_MAX), EINVAL);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D2_others_see_the_access_as_it_was_asked_for_and_rw_as_a_write)
{
	struct dma_buf *dmabuf = buffer_new("x");
	unsigned int i;

	for (i = 0; i < TYPES; i++) {
		struct dmabuf_sync *sync = sync_of("x", dmabuf, types[i]);
		struct dma_buf_access_info access;

		ASSERT_OK(dmabuf_sync_lock(sync));
		access = peer_info(dmabuf).accesses[0];
		ASSERT_EQ(access.write, (types[i] & DMA_BUF_ACCESS_W) != 0);
		ASSERT_EQ(access.device, (types[i] & DMA_BUF_ACCESS_DMA) != 0);
		ASSERT(!access.lock);
		dmabuf_sync_fini(sync);
	}
	dma_buf_put(dmabuf);
}

static bool excludes(unsigned int a, unsigned int b)
{
	return ((a | b) & DMA_BUF_ACCESS_W) != 0;
}

TEST(D3_reads_share_and_writes_exclude_within_a_process)
{
	struct dma_buf *dmabuf = buffer_new("x");
	unsigned int a, b;

	for (a = 0; a < TYPES; a++)
		for (b = 0; b < TYPES; b++) {
			struct dmabuf_sync *first = sync_of("a", dmabuf, types[a]);
			struct dmabuf_sync *second = sync_of("b", dmabuf, types[b]);

			ASSERT_OK(dmabuf_sync_trylock(first));
			ASSERT_EQ(dmabuf_sync_trylock(second),
				  excludes(types[a], types[b]) ? -EBUSY : 0);
			ASSERT_OK(dmabuf_sync_unlock(first));
			if (excludes(types[a], types[b]))
				ASSERT_OK(dmabuf_sync_trylock(second));
			ASSERT_OK(dmabuf_sync_unlock(second));
			dmabuf_sync_fini(first);
			dmabuf_sync_fini(second);
		}
	dma_buf_put(dmabuf);
}

TEST(D3_reads_share_and_writes_exclude_between_processes)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct remote r;
	unsigned int a, b;

	for (b = 0; b < TYPES; b++) {
		remote_with(&r, "other", dmabuf, types[b]);
		for (a = 0; a < TYPES; a++) {
			struct dmabuf_sync *mine = sync_of("a", dmabuf, types[a]);
			int want = excludes(types[a], types[b]) ? -EBUSY : 0;

			ASSERT_OK(dmabuf_sync_trylock(mine));
			ASSERT_EQ(remote_lock(&r, 0), want);
			ASSERT_OK(dmabuf_sync_unlock(mine));
			if (want)
				ASSERT_OK(remote_lock(&r, 0));
			ASSERT_EQ(dmabuf_sync_trylock(mine), want);
			ASSERT_OK(remote_unlock(&r));
			dmabuf_sync_fini(mine);
		}
		remote_end(&r);
	}
	dma_buf_put(dmabuf);
}

TEST(D3_the_same_holds_for_those_who_queue)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct remote first, second;
	unsigned int a, b;

	for (a = 0; a < TYPES; a++)
		for (b = 0; b < TYPES; b++) {
			struct dmabuf_sync *mine = sync_of("mine", dmabuf, DMA_BUF_ACCESS_W);

			ASSERT_OK(dmabuf_sync_lock(mine));
			remote_with(&first, "first", dmabuf, types[a]);
			remote_with(&second, "second", dmabuf, types[b]);
			remote_queue(&first, dmabuf, 1);
			remote_queue(&second, dmabuf, 2);
			ASSERT_OK(dmabuf_sync_unlock(mine));
			ASSERT_OK(remote_answer(&first).ret);
			if (excludes(types[a], types[b])) {
				ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_WAITING), 1);
				ASSERT(!remote_is_done(&second));
				ASSERT_OK(remote_unlock(&first));
			}
			ASSERT_OK(remote_answer(&second).ret);
			remote_end(&first);
			remote_end(&second);
			dmabuf_sync_fini(mine);
		}
	dma_buf_put(dmabuf);
}

static void *unlock_sync(void *arg)
{
	return (void *)(intptr_t)dmabuf_sync_unlock(arg);
}

static void *unlock_single(void *arg)
{
	return (void *)(intptr_t)dmabuf_sync_single_unlock(arg);
}

TEST(D1_an_object_locked_by_one_thread_is_unlocked_by_another)
{
	struct dma_buf *dmabuf = buffer_new("x");
	struct dmabuf_sync *sync = sync_of("x", dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *again = sync_of("again", dmabuf, DMA_BUF_ACCESS_W);
	pthread_t thread;
	void *ret;

	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_EQ(pthread_create(&thread, NULL, unlock_sync, sync), 0);
	ASSERT_EQ(pthread_join(thread, &ret), 0);
	ASSERT_EQ((int)(intptr_t)ret, 0);
	ASSERT_OK(dmabuf_sync_trylock(again));
	dmabuf_sync_fini(again);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

TEST(D1_single_locks_belong_to_a_thread)
{
	struct dma_buf *dmabuf = buffer_new("x");
	pthread_t thread;
	void *ret;

	ASSERT_ERR(dmabuf_sync_single_unlock(dmabuf), EAGAIN);
	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true));
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_R, true), EDEADLK);
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, false), EDEADLK);
	ASSERT_EQ(pthread_create(&thread, NULL, unlock_single, dmabuf), 0);
	ASSERT_EQ(pthread_join(thread, &ret), 0);
	ASSERT_EQ((int)(intptr_t)ret, -EAGAIN);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 1);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	ASSERT_ERR(dmabuf_sync_single_unlock(dmabuf), EAGAIN);
	ASSERT_EQ(peer_info(dmabuf).access_count, 0);
	dma_buf_put(dmabuf);
}

TEST(D1_a_single_lock_keeps_the_handle)
{
	struct dma_buf *dmabuf = buffer_new("x");

	ASSERT_OK(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, false));
	dma_buf_put(dmabuf);
	ASSERT_EQ(accesses_in(dmabuf, DMA_BUF_ACCESS_HELD), 1);
	ASSERT_OK(dmabuf_sync_single_unlock(dmabuf));
	ASSERT_EQ(buffer_mappings(), 0);
}

static int lock_read_only_share(struct peer *peer, struct dma_buf *dmabuf)
{
	struct dmabuf_sync *sync = sync_of("reader", NULL, 0);

	ASSERT_ERR(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_W), EACCES);
	ASSERT_ERR(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_RW), EACCES);
	ASSERT_ERR(dmabuf_sync_single_lock(dmabuf, DMA_BUF_ACCESS_W, false), EACCES);
	ASSERT_OK(dmabuf_sync_get(sync, dmabuf, DMA_BUF_ACCESS_R));
	ASSERT_ERR(dmabuf_sync_trylock(sync), EBUSY);
	peer_tell(peer);
	ASSERT_OK(dmabuf_sync_lock(sync));
	ASSERT_OK(dmabuf_sync_unlock(sync));
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
	return 0;
}

TEST(D2_a_read_only_share_is_locked_for_reading_only)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDONLY);
	struct dmabuf_sync *sync = sync_of("writer", dmabuf, DMA_BUF_ACCESS_W);
	struct peer peer;

	forks_beside_threads();
	ASSERT_OK(dmabuf_sync_lock(sync));
	peer_start(&peer, dmabuf, lock_read_only_share, NULL);
	peer_wait(&peer);
	ASSERT_OK(dmabuf_sync_unlock(sync));
	peer_end(&peer);
	dmabuf_sync_fini(sync);
	dma_buf_put(dmabuf);
}

/* Threads that add to plain numbers, which nothing but the lock guards. */
#define THREADS 4
static struct {
	struct dma_buf *dmabuf;
	long number, twin;
	int rounds;
} shared;

static void *add_and_compare(void *arg)
{
	bool single = arg != NULL;
	struct dmabuf_sync *write = sync_of("w", shared.dmabuf, DMA_BUF_ACCESS_W);
	struct dmabuf_sync *read = sync_of("r", shared.dmabuf, DMA_BUF_ACCESS_R);
	int i;

	for (i = 0; i < shared.rounds; i++) {
		if (single)
			ASSERT_OK(dmabuf_sync_single_lock(shared.dmabuf, DMA_BUF_ACCESS_W, true));
		else
			ASSERT_OK(dmabuf_sync_lock(write));
		shared.number++;
		shared.twin++;
		ASSERT_OK(single ? dmabuf_sync_single_unlock(shared.dmabuf)
				 : dmabuf_sync_unlock(write));
		ASSERT_OK(dmabuf_sync_lock(read));
		ASSERT_EQ(shared.number, shared.twin);
		ASSERT_OK(dmabuf_sync_unlock(read));
	}
	dmabuf_sync_fini(write);
	dmabuf_sync_fini(read);
	return NULL;
}

TEST_TIMEOUT(D3_D8_what_threads_count_under_the_lock_is_right, 300)
{
	pthread_t thread[THREADS];
	int i;

	shared.dmabuf = buffer_new("x");
	shared.rounds = test_is_slow() ? 300 : 5000;
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_create(&thread[i], NULL, add_and_compare, i % 2 ? &shared : NULL),
			  0);
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_join(thread[i], NULL), 0);
	ASSERT_EQ(shared.number, THREADS * shared.rounds);
	ASSERT_EQ(peer_info(shared.dmabuf).access_count, 0);
	dma_buf_put(shared.dmabuf);
}
