// SPDX-License-Identifier: MIT
/*
 * Interleavings that are forced: the page that a step is about to read or write is taken away, and
 * what others do in that moment is done in the fault's handler, through a second mapping.
 */
#include <dmabuf.h>

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "harness.h"
#include "resv/fast.h"
#include "step.h"

/* An entry that is not in the page of the state words, and one that is. */
#define FAR 70
#define NEAR 0

/* A reservation by itself, mapped for the library and for the others. */
static struct {
	struct control control;
	struct control others;
	size_t size;
	void (*meanwhile)(void);
	int faults;
	uint64_t seen;
} rig;

static void map_reservation(struct control *c, int fd)
{
	c->resv = mmap(NULL, rig.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT(c->resv != MAP_FAILED);
	c->resv_first = 0;
}

static _Atomic(uint64_t) *state_word(void)
{
	return &resv_state_line(&rig.others, 0)->word;
}

static _Atomic(uint64_t) *entry_word(uint32_t e)
{
	return &resv_entry_line(&rig.others, e)->word;
}

static void rig_init(void)
{
	int fd = memfd_create("reservation", MFD_CLOEXEC);

	ASSERT_OK(fd);
	rig.size = (sizeof(struct shm_resv) + 4095) & ~(size_t)4095;
	ASSERT_OK(ftruncate(fd, (off_t)rig.size));
	map_reservation(&rig.control, fd);
	map_reservation(&rig.others, fd);
	close(fd);
	atomic_store(&resv_state_line(&rig.others, 0)->used, SHM_RESV_ENTRIES);
}

static void rig_free(void)
{
	ASSERT_EQ(munmap(rig.control.resv, rig.size), 0);
	ASSERT_EQ(munmap(rig.others.resv, rig.size), 0);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	char *at = info->si_addr, *base = (char *)rig.control.resv;

	if (at < base || at >= base + rig.size || !rig.meanwhile)
		_exit(99);
	rig.faults++;
	mprotect(base, rig.size, PROT_READ | PROT_WRITE);
	rig.meanwhile();
}

/* The next access to the page of @line that @protection does not allow: @meanwhile comes first. */
static void before_access(const void *line, int protection, void (*meanwhile)(void))
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	uintptr_t page = (uintptr_t)line & ~(uintptr_t)4095;

	if (protection == PROT_NONE && test_under_valgrind())
		SKIP("to valgrind, reading what cannot be read is a mistake");
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
	SKIP("ThreadSanitizer's atomics are calls that a handler must not come into");
#endif
#endif
	sigaction(SIGSEGV, &action, NULL);
	rig.faults = 0;
	rig.meanwhile = meanwhile;
	ASSERT_EQ(mprotect((void *)page, 4096, protection), 0);
}

static void note_the_word(void)
{
	rig.seen = atomic_load(state_word());
}

TEST(D4_an_entry_is_complete_before_the_word_names_it)
{
	struct resv_hold h = { .entry = FAR };

	rig_init();
	h.state = resv_state_line(&rig.control, 0);
	h.shared = resv_entry_line(&rig.control, FAR);
	h.plain = resv_entry(0, 0, 3, 9);
	before_access(h.shared, PROT_READ, note_the_word);
	ASSERT(resv_take(&h, RESV_WRITE));
	ASSERT_EQ(rig.faults, 1);
	ASSERT_EQ(resv_word_mode(rig.seen), RESV_FREE);
	ASSERT_EQ(atomic_load(entry_word(FAR)), resv_entry(RESV_ARMED, RESV_WRITE, 3, 9));
	ASSERT(resv_word_names(atomic_load(state_word()), FAR));
	ASSERT(resv_put(&h));
	rig_free();
}

/* Others settled it, its owner gave it back, and took it anew by the fast path. */
static void settle_give_back_and_arm_anew(void)
{
	atomic_store(state_word(), resv_word(RESV_FREE, 6, 0));
	atomic_store(entry_word(FAR), resv_entry(RESV_ARMED, RESV_WRITE, 3, 10));
}

TEST(D4_who_helps_late_does_not_grant_what_was_armed_since)
{
	rig_init();
	atomic_store(state_word(), resv_word(RESV_EXCLUSIVE, 5, FAR) | RESV_QUEUED);
	atomic_store(entry_word(FAR), resv_entry(RESV_ARMED, RESV_WRITE, 3, 9));
	before_access(resv_entry_line(&rig.control, FAR), PROT_NONE, settle_give_back_and_arm_anew);
	resv_settle(&rig.control, 0);
	ASSERT_EQ(rig.faults, 1);
	ASSERT_EQ(atomic_load(entry_word(FAR)), resv_entry(RESV_ARMED, RESV_WRITE, 3, 10));
	ASSERT_EQ(atomic_load(state_word()), resv_word(RESV_FREE, 6, 0));
	rig_free();
}

static void join_with_the_entry(void)
{
	atomic_store(entry_word(FAR), resv_entry(RESV_ARMED, RESV_WRITE, 3, 9));
	atomic_store(state_word(), resv_word(RESV_SLOW, 6, FAR) | RESV_QUEUED);
}

TEST(D4_the_fast_path_does_not_come_back_over_one_who_joins)
{
	struct resv_sweep sweep;

	rig_init();
	atomic_store(state_word(), resv_word(RESV_SLOW, 5, RESV_NOBODY));
	before_access(resv_state_line(&rig.control, 0), PROT_READ, join_with_the_entry);
	resv_advance(&rig.control, 0, &sweep);
	ASSERT_EQ(rig.faults, 1);
	ASSERT_EQ(atomic_load(state_word()), resv_word(RESV_SLOW, 6, FAR) | RESV_QUEUED);
	/* Next time it is seen. */
	resv_advance(&rig.control, 0, &sweep);
	ASSERT_EQ(resv_state(atomic_load(entry_word(FAR))), RESV_GRANTED);
	rig_free();
}

static void give_up(void)
{
	atomic_store(entry_word(FAR), resv_entry_ended(atomic_load(entry_word(FAR)), RESV_IDLE));
}

static void wait_in_queue(uint32_t e, uint64_t flags)
{
	atomic_store(state_word(), resv_word(RESV_SLOW, 5, RESV_NOBODY));
	resv_mark(&rig.control, 0, e);
	atomic_store(entry_word(e), resv_with_ticket(resv_entry(RESV_WAITING, flags, 3, 9), 5));
}

TEST(D4_one_who_gave_up_is_not_granted)
{
	struct resv_sweep sweep;

	rig_init();
	wait_in_queue(FAR, RESV_WRITE);
	before_access(resv_entry_line(&rig.control, FAR), PROT_READ, give_up);
	resv_advance(&rig.control, 0, &sweep);
	ASSERT_EQ(rig.faults, 1);
	ASSERT_EQ(atomic_load(entry_word(FAR)), resv_entry(RESV_IDLE, 0, 3, 10));
	rig_free();
}

static void fall_asleep(void)
{
	atomic_fetch_or(entry_word(FAR), RESV_ASLEEP);
}

TEST(D4_one_who_falls_asleep_in_that_moment_is_granted_all_the_same)
{
	struct resv_sweep sweep;

	rig_init();
	wait_in_queue(FAR, RESV_WRITE);
	before_access(resv_entry_line(&rig.control, FAR), PROT_READ, fall_asleep);
	resv_advance(&rig.control, 0, &sweep);
	ASSERT_EQ(rig.faults, 1);
	ASSERT_EQ(resv_state(atomic_load(entry_word(FAR))), RESV_GRANTED);
	ASSERT(!(atomic_load(entry_word(FAR)) & RESV_ASLEEP));
	rig_free();
}

struct sleeper {
	_Atomic(uint32_t) tid;
	_Atomic(uint32_t) *word;
	uint32_t expected;
	int err;
};

static void *sleep_on_the_entry(void *arg)
{
	struct sleeper *s = arg;
	struct timespec ts = { .tv_sec = 20 };

	atomic_store(&s->tid, (uint32_t)syscall(SYS_gettid));
	s->err = syscall(SYS_futex, s->word, FUTEX_WAIT, s->expected, &ts, NULL, 0) ? errno : 0;
	return NULL;
}

static bool is_asleep(void *arg)
{
	struct sleeper *s = arg;
	char path[64], text[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%u/syscall", atomic_load(&s->tid));
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	snprintf(path, sizeof(path), "%d ", SYS_futex);
	return strncmp(text, path, strlen(path)) == 0;
}

TEST(D4_one_who_sleeps_is_woken_by_the_grant)
{
	struct resv_sweep sweep;
	struct sleeper s = { .tid = 0 };
	pthread_t thread;

	rig_init();
	wait_in_queue(FAR, RESV_WRITE | RESV_ASLEEP);
	s.word = resv_futex(resv_entry_line(&rig.others, FAR));
	s.expected = atomic_load(s.word);
	ASSERT_EQ(pthread_create(&thread, NULL, sleep_on_the_entry, &s), 0);
	if (!eventually(is_asleep, &s, 60000))
		test_note("cannot see whether it sleeps");
	resv_advance(&rig.control, 0, &sweep);
	ASSERT_EQ(pthread_join(thread, NULL), 0);
	if (s.err == ETIMEDOUT)
		FAIL("nobody woke it");
	rig_free();
}

static struct resv_hold granted_hold(void)
{
	struct resv_hold h = { .entry = FAR, .kind = RESV_WRITE, .queued = true };

	h.control = &rig.control;
	h.state = resv_state_line(&rig.control, 0);
	h.shared = resv_entry_line(&rig.control, FAR);
	h.plain = resv_entry(0, 0, 3, 9);
	wait_in_queue(FAR, RESV_WRITE);
	atomic_store(entry_word(FAR), resv_with_state(atomic_load(entry_word(FAR)), RESV_GRANTED));
	return h;
}

static void break_it(void)
{
	atomic_store(entry_word(FAR), resv_lost(atomic_load(entry_word(FAR))));
}

/* Whatever the word is meanwhile: it names armed entries only. */
TEST(D4_an_entry_that_was_in_the_queue_is_armed_before_the_word_names_it_again)
{
	struct resv_hold h;

	rig_init();
	h = granted_hold();
	h.before = resv_word(RESV_FREE, 9, 0);
	h.after = resv_word(RESV_EXCLUSIVE, 9, FAR);
	ASSERT_OK(resv_unlock(&h));
	atomic_store(state_word(), h.before);
	ASSERT(!resv_take_again(&h));
	ASSERT(resv_take(&h, RESV_WRITE));
	ASSERT_EQ(resv_state(atomic_load(entry_word(FAR))), RESV_ARMED);
	ASSERT(resv_put(&h));
	ASSERT(resv_take_again(&h));
	ASSERT_EQ(atomic_load(&h.shared->holds), 2);
	rig_free();
}

TEST(D5_a_hold_that_is_lost_while_it_is_given_back_says_so)
{
	struct resv_hold h;

	rig_init();
	h = granted_hold();
	before_access(h.shared, PROT_READ, break_it);
	ASSERT_ERR(resv_unlock(&h), ETIMEDOUT);
	ASSERT_EQ(rig.faults, 1);
	ASSERT_EQ(resv_state(atomic_load(entry_word(FAR))), RESV_TORN);
	ASSERT(!resv_busy(&h));
	ASSERT_ERR(resv_unlock(&h), EPERM);
	rig_free();
}

TEST(D5_a_dead_ones_entry_that_changed_since_is_left_alone)
{
	uint64_t seen, now;

	rig_init();
	wait_in_queue(FAR, RESV_WRITE);
	seen = atomic_load(entry_word(FAR));
	now = resv_entry(RESV_IDLE, 0, 3, 10);
	atomic_store(entry_word(FAR), now);
	ASSERT(!resv_recover(&rig.control, FAR, seen));
	ASSERT_EQ(atomic_load(entry_word(FAR)), now);
	ASSERT(resv_recover(&rig.control, FAR, now));
	ASSERT_EQ(resv_state(atomic_load(entry_word(FAR))), RESV_GONE);
	rig_free();
}

/* Whoever read the word before it became SLOW, and freezes it now, announces nobody. */
TEST(D4_freezing_a_word_that_is_slow_by_now_lets_nobody_join)
{
	struct resv_sweep sweep;
	uint64_t armed = resv_entry(RESV_ARMED, RESV_WRITE, 3, 9);

	rig_init();
	atomic_store(entry_word(NEAR), armed);
	wait_in_queue(FAR, RESV_WRITE);
	resv_advance(&rig.control, 0, &sweep);
	atomic_fetch_or(state_word(), RESV_QUEUED);
	ASSERT(!resv_word_queued(resv_settle(&rig.control, 0)));
	ASSERT_EQ(atomic_load(entry_word(NEAR)), armed);
	/* Settled, it names nobody either. */
	atomic_store(state_word(), resv_word(RESV_SLOW, 6, FAR) | RESV_QUEUED);
	resv_settle(&rig.control, 0);
	atomic_fetch_or(state_word(), RESV_QUEUED);
	resv_settle(&rig.control, 0);
	ASSERT_EQ(atomic_load(entry_word(NEAR)), armed);
	rig_free();
}

TEST(D3_frozen_readers_all_keep_their_holds)
{
	uint32_t bits = 1u << NEAR | 1u << 7 | 1u << 31, e;
	struct resv_sweep sweep;

	rig_init();
	for (e = 0; e < RESV_FAST_READERS; e++)
		atomic_store(entry_word(e), resv_entry(RESV_ARMED, 0, 3, e));
	atomic_store(state_word(), resv_word(RESV_SHARED, 5, bits) | RESV_QUEUED);
	resv_advance(&rig.control, 0, &sweep);
	for (e = 0; e < RESV_FAST_READERS; e++)
		ASSERT_EQ(resv_state(atomic_load(entry_word(e))),
			  bits >> e & 1 ? RESV_GRANTED : RESV_ARMED);
	ASSERT_EQ(resv_word_mode(atomic_load(state_word())), RESV_SLOW);
	rig_free();
}

/* What a sweep reads: those who may be in the queue, until they say that they are out of it. */
TEST(D4_who_is_in_the_queue_is_marked_and_who_left_is_not)
{
	const struct shm_resv_state *state;
	struct resv_sweep sweep;
	struct resv_hold h;
	uint32_t e;

	rig_init();
	state = resv_state_line(&rig.control, 0);
	atomic_store(entry_word(NEAR), resv_entry(RESV_ARMED, RESV_WRITE, 3, 1));
	atomic_store(state_word(), resv_word(RESV_EXCLUSIVE, 5, NEAR) | RESV_QUEUED);
	ASSERT_EQ(atomic_load(&state->busy[NEAR / 64]) >> (NEAR % 64) & 1, 0);
	resv_settle(&rig.control, 0);
	ASSERT_EQ(atomic_load(&state->busy[NEAR / 64]) >> (NEAR % 64) & 1, 1);
	resv_advance(&rig.control, 0, &sweep);
	ASSERT_EQ(resv_state(sweep.seen[NEAR]), RESV_GRANTED);
	/* A few marks are left where they are; they cost a look each. */
	h = granted_hold();
	ASSERT_OK(resv_unlock(&h));
	ASSERT_EQ(atomic_load(&state->busy[FAR / 64]) >> (FAR % 64) & 1, 1);
	for (e = 0; e < RESV_MARKS_KEPT; e++)
		resv_mark(&rig.control, 0, e);
	h = granted_hold();
	ASSERT_OK(resv_unlock(&h));
	ASSERT_EQ(atomic_load(&state->busy[FAR / 64]) >> (FAR % 64) & 1, 0);
	rig_free();
}

/* What a peer writes after each instruction of ours. */
static uint64_t (*rewritten)(uint64_t word);

static void rewrite(void)
{
	atomic_store(state_word(), rewritten(atomic_load(state_word())));
}

static uint64_t newer(uint64_t word)
{
	return resv_word(resv_word_mode(word), resv_word_generation(word) + 1, resv_word_who(word));
}

/* As honest ones may, who come and go by the fast path. */
static uint64_t newer_if_allowed(uint64_t word)
{
	return resv_word_queued(word) || resv_word_mode(word) == RESV_SLOW ? word : newer(word);
}

/* Every step is followed by a write of a peer's, so no compare-and-swap of what was read works. */
static void rewrite_at_each_step(uint64_t (*how)(uint64_t word))
{
	rewritten = how;
	step_prepare(rewrite);
}

TEST(D3_D5_taking_ends_whatever_a_peer_writes)
{
	struct resv_hold h = { .entry = NEAR, .kind = RESV_WRITE };
	bool taken;

	rig_init();
	h.state = resv_state_line(&rig.control, 0);
	h.shared = resv_entry_line(&rig.control, NEAR);
	atomic_store(state_word(), resv_word(RESV_FREE, 5, 0));
	rewrite_at_each_step(newer);
	step_switch();
	taken = resv_take_found(&h);
	step_switch();
	ASSERT(step_count > 100 && step_count < STEP_MOST);
	ASSERT(!taken && !resv_busy(&h));
	/* As soon as nobody writes. */
	ASSERT(resv_take_found(&h));
	rig_free();
}

TEST(D3_D5_giving_back_ends_whatever_a_peer_writes)
{
	struct resv_hold h = { .entry = NEAR };
	bool given;
	int ret;

	rig_init();
	h.control = &rig.control;
	h.state = resv_state_line(&rig.control, 0);
	h.shared = resv_entry_line(&rig.control, NEAR);
	h.plain = resv_entry(0, 0, 3, 9);
	ASSERT(resv_take(&h, RESV_WRITE));
	rewrite_at_each_step(newer);
	step_switch();
	given = resv_put_found(&h);
	step_switch();
	ASSERT(step_count > 100 && step_count < STEP_MOST);
	ASSERT(!given && resv_busy(&h));
	/* It is the queue's then, which nobody can keep from giving it back. */
	rewritten = newer_if_allowed;
	step_switch();
	ret = resv_unlock(&h);
	step_switch();
	ASSERT_OK(ret);
	ASSERT_EQ(resv_word_mode(atomic_load(state_word())), RESV_FREE);
	rig_free();
}

static void begin_to_watch(void)
{
	atomic_fetch_or(state_word(), RESV_WATCHED);
}

TEST(D4_one_who_begins_to_watch_in_that_moment_keeps_no_word_from_going_back)
{
	struct resv_sweep sweep;

	rig_init();
	atomic_store(state_word(), resv_word(RESV_SLOW, 5, RESV_NOBODY));
	resv_mark(&rig.others, 0, FAR);
	atomic_store(entry_word(FAR), resv_entry(RESV_IDLE, 0, 3, 9));
	before_access(resv_entry_line(&rig.control, FAR), PROT_NONE, begin_to_watch);
	resv_advance(&rig.control, 0, &sweep);
	ASSERT_EQ(rig.faults, 1);
	ASSERT_EQ(atomic_load(state_word()), resv_word(RESV_FREE, 6, 0));
	rig_free();
}

/* A holder that says between any two looks that its group waits, and then that it is complete. */
TEST(D5_a_group_is_complete_once)
{
	struct dma_buf *dmabuf = dma_buf_alloc("x", 4096, O_RDWR);
	struct resv_hold holder = { .lease_ms = 200 }, waiter = { .lease_ms = 200 };
	struct resv_waiter w;
	int64_t began = now_ms();
	unsigned int i;
	int ret;

	ASSERT(dmabuf);
	ASSERT_OK(resv_claim(&holder, to_buffer(dmabuf), 0, "holder"));
	ASSERT_OK(resv_claim(&waiter, to_buffer(dmabuf), 0, "waiter"));
	ASSERT_OK(resv_enqueue(&holder, RESV_WRITE));
	ASSERT_ERR(resv_enqueue(&waiter, 0), EAGAIN);
	resv_waiter_init(&w, &waiter, FUTEX_FOREVER);
	for (i = 0, ret = -EAGAIN; ret == -EAGAIN && now_ms() - began < 60000; i++) {
		atomic_store(&holder.shared->acquiring, i % 2);
		ret = resv_look(&w);
	}
	ASSERT_EQ(ret, -EOWNERDEAD);
	ASSERT_OK(resv_unlock(&waiter));
	ASSERT_ERR(resv_unlock(&holder), ETIMEDOUT);
	resv_unclaim(&waiter);
	resv_unclaim(&holder);
	dma_buf_put(dmabuf);
}
