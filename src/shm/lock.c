// SPDX-License-Identifier: MIT
#include "shm/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"

/* word: 0 free; else bits 0..7 slot + 1, bits 8..30 generation, bit 31 somebody sleeps */
#define LOCK_WAITERS 0x80000000u
#define LOCK_OWNER(slot, generation) (((slot) + 1) | (((generation)&0x7fffff) << 8))
#define LOCK_SLOT(word) (((word)&0xff) - 1)

/* A sleeper looks again after this long whatever happened: wake-ups can be stolen or lost. */
#define LOCK_LOOK_MS 50

static void futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L };

	syscall(SYS_futex, word, FUTEX_WAIT, expected, &ts, NULL, 0);
}

static void futex_wake_all(_Atomic(uint32_t) *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

/* How long to wait for the holder that @word names. */
static uint64_t patience(const _Atomic(uint32_t) *stuck, uint32_t word)
{
	return atomic_load(stuck) == (word & ~LOCK_WAITERS) ? LOCK_LOOK_MS : LOCK_TIMEOUT_MS;
}

static int timed_out(const struct control *c, uint32_t word, const char *what)
{
	char holder[64];

	client_describe(c, LOCK_SLOT(word), holder);
	return dmabuf_fail(ETIMEDOUT, "%s has been held for %d ms by %s", what, LOCK_TIMEOUT_MS,
			   holder);
}

/* Can nobody release it? Then it names nobody, a dead client, or us, who are not in the section. */
static bool holder_gone(const struct client *client, uint32_t word)
{
	uint32_t slot = LOCK_SLOT(word);

	return slot >= DMA_BUF_MAX_CLIENTS || slot == client->slot ||
	       !client_alive(client->fd, slot);
}

/* 0, 1 if it was taken over from somebody who is gone, or -errno. */
static int take_slow(struct shm_lock *lock, struct client *client, struct control *c,
		     _Atomic(uint32_t) *stuck, const char *what)
{
	uint32_t mine = LOCK_OWNER(client->slot, client->generation) | LOCK_WAITERS;
	uint64_t start = clock_ms();
	uint32_t word;
	int err;

	for (;;) {
		word = atomic_load(&lock->word);
		err = control_intact(c);
		if (err)
			return err;
		if (!word || holder_gone(client, word)) {
			int over = word != 0;

			if (atomic_compare_exchange_strong(&lock->word, &word, mine))
				return over;
		}
		/* Whatever a scribbler makes of the word, this is looked at each time around. */
		if (clock_ms() >= start + patience(stuck, word)) {
			atomic_store(stuck, word & ~LOCK_WAITERS);
			return timed_out(c, word, what);
		}
		if (!word ||
		    (!(word & LOCK_WAITERS) &&
		     !atomic_compare_exchange_strong(&lock->word, &word, word | LOCK_WAITERS)))
			continue;
		futex_wait(&lock->word, word | LOCK_WAITERS, LOCK_LOOK_MS);
	}
}

static int take(struct shm_lock *lock, struct client *client, struct control *c,
		_Atomic(uint32_t) *stuck, const char *what)
{
	uint32_t word = 0;
	int err = 0;

	if (!atomic_compare_exchange_strong(&lock->word, &word,
					    LOCK_OWNER(client->slot, client->generation)))
		err = take_slow(lock, client, c, stuck, what);
	if (err >= 0)
		atomic_store_explicit(stuck, 0, memory_order_relaxed);
	return err;
}

static void lock_release(struct shm_lock *lock, struct client *client)
{
	uint32_t word = atomic_load(&lock->word);
	uint32_t mine = LOCK_OWNER(client->slot, client->generation);

	/* If it is no longer ours, it was broken or scribbled over; freeing it would hurt another.
	 */
	while ((word & ~LOCK_WAITERS) == mine) {
		if (!atomic_compare_exchange_weak(&lock->word, &word, 0))
			continue;
		if (word & LOCK_WAITERS)
			futex_wake_all(&lock->word);
		return;
	}
}

/* Makes coherency_sanitize() start from the state that is safe for any past. */
static void coherency_spoil(struct coherency_state *s)
{
	s->dirty.count = UINT32_MAX;
}

int lock_list(struct client *client, struct control *c)
{
	int err = take(&c->header->list_lock, client, c, &client->stuck_list,
		       "the buffer's list lock");

	return err < 0 ? err : 0;
}

void unlock_list(struct client *client, struct control *c)
{
	lock_release(&c->header->list_lock, client);
}

bool lock_list_held(const struct client *client, const struct control *c)
{
	uint32_t word = atomic_load(&c->header->list_lock.word);
	uint32_t slot = LOCK_SLOT(word);

	if (!word || slot >= DMA_BUF_MAX_CLIENTS)
		return false;
	return slot == client->slot || client_alive(client->fd, slot);
}

int lock_coherency(struct client *client, struct control *c)
{
	int err;

	pthread_mutex_lock(&client->coherency_mutex);
	err = take(&c->header->coherency_lock, client, c, &client->stuck_coherency,
		   "the buffer's coherency state");
	if (err < 0) {
		pthread_mutex_unlock(&client->coherency_mutex);
		return err;
	}
	/* Who died in here may have left half a state: coherency_sanitize() shall see that. */
	if (err)
		coherency_spoil(&c->header->coherency);
	return 0;
}

void unlock_coherency(struct client *client, struct control *c)
{
	lock_release(&c->header->coherency_lock, client);
	pthread_mutex_unlock(&client->coherency_mutex);
}

void lock_break(struct shm_lock *lock, uint32_t slot)
{
	uint32_t word = atomic_load(&lock->word);

	while (word && LOCK_SLOT(word) == slot) {
		if (!atomic_compare_exchange_weak(&lock->word, &word, 0))
			continue;
		futex_wake_all(&lock->word);
		return;
	}
}
