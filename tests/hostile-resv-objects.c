// SPDX-License-Identifier: MIT
/*
 * Reservation objects beside one who writes what he likes over ages, wounds, usages and words: rows
 * E1 and E2. Others yield more often, or are told that the buffer is spoilt; they get through, and
 * nothing hangs or crashes.
 */
#include <dmabuf.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "forged.h"
#include "peer.h"
#include "resv/word.h"

#define BUFFERS 3

static DMABUF_DEFINE_WW_CLASS(wound_wait);

enum lie { OLD_AGES, NO_AGES, WOUNDS, WORDS, NOTES };

struct stage {
	struct dma_buf *b[BUFFERS];
	struct forged forged[BUFFERS];
	enum lie lie;
	struct dmabuf_ww_class *kind;
	unsigned int back_offs;
	struct gate gate; /* somebody has begun */
};

static void lie_about(struct forged *f, enum lie lie, unsigned int *seed)
{
	unsigned int i;

	for (i = 0; i < SHM_RESV_LINES; i++) {
		union shm_resv_line *line = &f->resv->lines[i];
		struct shm_resv_label *label = &f->resv->labels[i];
		unsigned int state = (f->header->resv_first + SHM_RESV_LINES - i) % SHM_RESV_LINES;

		switch (lie) {
		case OLD_AGES:
		case NO_AGES:
			/* Not in the lines of the state words. */
			if (state != 0 && state != SHM_RESV_LINES - 1)
				atomic_store(&line->entry.context, lie == OLD_AGES);
			break;
		case WOUNDS:
			atomic_store(&label->note,
				     1u << 31 | resv_age(atomic_load(&line->entry.word)));
			break;
		case WORDS:
			if (rand_r(seed) % 64 == 0)
				atomic_store(&line->entry.word,
					     (uint64_t)rand_r(seed) << 33 ^ (uint64_t)rand_r(seed));
			break;
		case NOTES:
			atomic_store(&label->note, (uint32_t)rand_r(seed));
			break;
		}
	}
}

static int liar(void *arg)
{
	struct stage *s = arg;
	unsigned int seed = 1, i;

	gate_signal(&s->gate);
	for (i = 0;; i++)
		lie_about(&s->forged[i % BUFFERS], s->lie, &seed);
	return 0;
}

/* Locks one buffer after the other, for ever, as others do. */
static int rival(void *arg)
{
	struct stage *s = arg;
	struct dma_buf *b[BUFFERS];
	unsigned int i;

	for (i = 0; i < BUFFERS; i++)
		ASSERT((b[i] = dma_buf_get(s->forged[i].fd)));
	gate_signal(&s->gate);
	for (;;) {
		struct dmabuf_ww_acquire_ctx ctx;
		struct dma_resv *obj = b[i++ % BUFFERS]->resv;

		dmabuf_ww_acquire_init(&ctx, s->kind);
		if (dma_resv_lock(obj, i % 2 ? &ctx : NULL) == 0) {
			usleep(100);
			dma_resv_unlock(obj);
		}
		dmabuf_ww_acquire_fini(&ctx);
	}
	return 0;
}

static void stage_set(struct stage *s)
{
	unsigned int i;

	gate_init(&s->gate);
	for (i = 0; i < BUFFERS; i++) {
		ASSERT((s->b[i] = dma_buf_alloc("x", 4096, O_RDWR)));
		ASSERT_OK(dma_buf_set_max_lease(s->b[i], 20));
		forged_view(&s->forged[i], s->b[i]);
	}
}

static void stage_clear(struct stage *s)
{
	unsigned int i;

	gate_close(&s->gate);
	for (i = 0; i < BUFFERS; i++) {
		forged_free(&s->forged[i]);
		dma_buf_put(s->b[i]);
	}
}

static pid_t begin(struct stage *s, int (*fn)(void *arg))
{
	pid_t pid = spawn(fn, s);

	gate_wait(&s->gate);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	ASSERT_EQ(reap(pid), 128 + SIGKILL);
}

/* All of them, the last first. Returns 0, or what else than -EDEADLK came. */
static int take_all(struct stage *s)
{
	struct dmabuf_ww_acquire_ctx ctx;
	int contended = -1, ret, i, has;

	dmabuf_ww_acquire_init(&ctx, s->kind);
	do {
		has = BUFFERS;
		ret = contended < 0 ? 0 : dma_resv_lock_slow(s->b[contended]->resv, &ctx);
		for (i = BUFFERS - 1; !ret && i >= 0; i--) {
			ret = i == contended ? 0 : dma_resv_lock(s->b[i]->resv, &ctx);
			if (!ret)
				has = i;
		}
		for (i = BUFFERS - 1; i >= 0; i--)
			if ((i >= has || i == contended) &&
			    dma_resv_locking_ctx(s->b[i]->resv) == &ctx)
				dma_resv_unlock(s->b[i]->resv);
		contended = has - 1;
	} while (ret == -EDEADLK);
	s->back_offs += ctx.back_offs;
	dmabuf_ww_acquire_fini(&ctx);
	return ret;
}

static void take_beside(enum lie lie, struct dmabuf_ww_class *kind)
{
	struct stage s = { .lie = lie, .kind = kind };
	pid_t lies, others;
	unsigned int goal = test_is_slow() ? 20 : 500;
	int rounds = 0;

	stage_set(&s);
	lies = begin(&s, liar);
	others = begin(&s, rival);
	for (; s.back_offs < goal; rounds++) {
		ASSERT_EQ(take_all(&s), 0);
		usleep(10);
	}
	test_note("%u back-offs in %d rounds", s.back_offs, rounds);
	end(lies);
	end(others);
	stage_clear(&s);
}

TEST_TIMEOUT(E1_who_pretends_to_be_older_holds_nobody_up_for_ever, 300)
{
	take_beside(OLD_AGES, dma_resv_ww_class());
	take_beside(OLD_AGES, &wound_wait);
}

TEST_TIMEOUT(E1_who_pretends_to_have_no_age_holds_nobody_up_for_ever, 300)
{
	take_beside(NO_AGES, dma_resv_ww_class());
	take_beside(NO_AGES, &wound_wait);
}

TEST_TIMEOUT(E1_who_wounds_everybody_holds_nobody_up_for_ever, 300)
{
	take_beside(WOUNDS, dma_resv_ww_class());
	take_beside(WOUNDS, &wound_wait);
}

static bool is_fine(int ret)
{
	return ret == 0 || ret == -EIO || ret == -ETIMEDOUT || ret == -ENOSPC || ret == -ENOMEM ||
	       ret == -EPERM;
}

TEST_TIMEOUT(E1_who_scribbles_over_the_words_spoils_the_buffer_and_no_more, 300)
{
	struct stage s = { .lie = WORDS, .kind = &wound_wait };
	pid_t lies;
	int i, rounds = test_is_slow() ? 20 : 1000;

	stage_set(&s);
	lies = begin(&s, liar);
	for (i = 0; i < rounds; i++) {
		int ret = take_all(&s);

		if (!is_fine(ret))
			FAIL("%d: %s", ret, dmabuf_last_error());
	}
	end(lies);
	stage_clear(&s);
}

static void look_at(struct dma_resv *obj)
{
	struct dma_fence **fences;
	unsigned int count, i;

	ASSERT_OK(dma_resv_get_fences(obj, DMA_RESV_USAGE_BOOKKEEP, &count, &fences));
	for (i = 0; i < count; i++) {
		/* Each ends, by its change, its lease or as spoilt. */
		if (i < 4)
			ASSERT(dma_fence_wait_timeout(fences[i], false, 20000) > 0);
		dma_fence_put(fences[i]);
	}
	free(fences);
}

static void look_beside(enum lie lie)
{
	struct stage s = { .lie = lie, .kind = &wound_wait };
	pid_t lies, others;
	int i, rounds = test_is_slow() ? 20 : 1000;

	stage_set(&s);
	lies = begin(&s, liar);
	others = begin(&s, rival);
	for (i = 0; i < rounds; i++)
		look_at(s.b[i % BUFFERS]->resv);
	end(lies);
	end(others);
	stage_clear(&s);
}

TEST_TIMEOUT(E2_what_is_scribbled_over_the_words_ends_as_a_fence, 300)
{
	look_beside(WORDS);
}

TEST_TIMEOUT(E2_usages_that_make_no_sense_are_none, 300)
{
	look_beside(NOTES);
}
