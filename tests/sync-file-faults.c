// SPDX-License-Identifier: MIT
/* Everything that can fail when a fence gets a descriptor, or comes from one, fails in turn: row
 * E5. */
#include "faults.h"
#include "sync-peer.h"

#define STEPS_MAX 60

struct stage {
	struct dma_fence *fence;
	struct dma_fence *import;
	int made;
	int another; /* of another process's fence */
};

static int create(struct stage *s)
{
	s->made = dmabuf_sync_file_create(s->fence, NULL);
	return s->made < 0 ? s->made : 0;
}

static int import(struct stage *s)
{
	s->import = dmabuf_sync_file_get_fence(s->another);
	return s->import ? 0 : -errno;
}

static int timeout(struct stage *s)
{
	return dma_fence_set_timeout(s->fence, LONG_MS);
}

static bool idle(void *arg)
{
	return open_fds() == *(int *)arg;
}

/* From a process in which the library's thread does not run, for each step. */
static void fail_each(int (*call)(struct stage *s), int another)
{
	const char *failed = "";
	int before = open_fds(), step, err;

	for (step = 1; failed; step++) {
		struct stage s = { .fence = fence_new(), .made = -1, .another = another };

		ASSERT(step < STEPS_MAX);
		ASSERT(eventually(idle, &before, LONG_MS));
		faults_arm(step);
		err = call(&s);
		failed = faults_disarm();
		if (err) {
			ASSERT(failed);
			ASSERT(err == -EMFILE || err == -ENOMEM || err == -EAGAIN ||
			       err == -ENOSPC);
			ASSERT(dmabuf_last_error()[0]);
			ASSERT_EQ(dma_fence_get_status(s.fence), 0);
		}
		ASSERT_OK(dma_fence_signal(s.fence));
		dma_fence_put(s.fence);
		dma_fence_put(s.import);
		if (s.made >= 0)
			close(s.made);
	}
	test_note("%d steps", step - 2);
}

TEST_TIMEOUT(E5_whatever_fails_when_a_descriptor_is_made_leaves_nothing_behind, 300)
{
	fail_each(create, -1);
}

TEST_TIMEOUT(E5_whatever_fails_when_a_fence_is_imported_leaves_nothing_behind, 300)
{
	struct owner owner = { .seqno = 1, .timeout_ms = DMA_FENCE_TIMEOUT_MAX };

	owner_start(&owner);
	fail_each(import, owner.fd);
	owner_end(&owner);
}

TEST_TIMEOUT(E3_whatever_fails_when_a_timeout_is_set_leaves_nothing_behind, 300)
{
	fail_each(timeout, -1);
}
