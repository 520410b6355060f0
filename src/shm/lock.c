// SPDX-License-Identifier: MIT
#include "shm/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "shm/recovery.h"

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

static int timed_out(const struct control *c, uint32_t word, const char *what)
{
	char holder[64];

	client_describe(c, LOCK_SLOT(word), holder);
	return dmabuf_fail(ETIMEDOUT, "%s has been held for %d ms by %s", what, LOCK_TIMEOUT_MS,
			   holder);
}

/* Once per look: is the one that the word names able to release it? If not, free the lock. */
static void break_if_dead(struct shm_lock *lock, struct client *client, struct control *c,
			  uint32_t word)
{
	uint32_t slot = LOCK_SLOT(word);

	if (slot >= DMA_BUF_MAX_CLIENTS || slot == client->slot) {
		/* Nobody's, or forged in our name: we are not in the section. */
		atomic_compare_exchange_strong(&lock->word, &word, 0);
		return;
	}
	if (client_alive(client->fd, slot))
		return;
	recovery_try(client, c, slot);
	atomic_compare_exchange_strong(&lock->word, &word, 0);
}

static int lock_take_slow(struct shm_lock *lock, struct client *client, struct control *c,
			  const char *what)
{
	uint32_t mine = LOCK_OWNER(client->slot, client->generation) | LOCK_WAITERS;
	uint64_t deadline = clock_ms() + LOCK_TIMEOUT_MS;
	uint32_t word;
	int err;

	for (;;) {
		word = 0;
		if (atomic_compare_exchange_strong(&lock->word, &word, mine))
			return 0;
		err = control_intact(c);
		if (err)
			return err;
		if (!(word & LOCK_WAITERS)) {
			if (!atomic_compare_exchange_strong(&lock->word, &word,
							    word | LOCK_WAITERS))
				continue;
			word |= LOCK_WAITERS;
		}
		break_if_dead(lock, client, c, word);
		if (clock_ms() >= deadline)
			return timed_out(c, word, what);
		futex_wait(&lock->word, word, LOCK_LOOK_MS);
	}
}

int lock_take(struct shm_lock *lock, struct client *client, struct control *c, const char *what)
{
	uint32_t word = 0;

	if (atomic_compare_exchange_strong(&lock->word, &word,
					   LOCK_OWNER(client->slot, client->generation)))
		return 0;
	return lock_take_slow(lock, client, c, what);
}

void lock_release(struct shm_lock *lock, struct client *client)
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

int lock_coherency(struct client *client, struct control *c)
{
	int err;

	pthread_mutex_lock(&client->coherency_mutex);
	err = lock_take(&c->header->coherency_lock, client, c, "the buffer's coherency state");
	if (err)
		pthread_mutex_unlock(&client->coherency_mutex);
	return err;
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
