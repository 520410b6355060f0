// SPDX-License-Identifier: MIT
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <dmabuf/info.h>

#include "error.h"
#include "export.h"
#include "text.h"

/* The wiped page holds the cookie; the counter survives fork, so a child's cookie is a new one. */
_Atomic(uint64_t) *_Atomic process_cookie_page;
static _Atomic(uint64_t) cookie_counter;

static pthread_mutex_t label_lock = PTHREAD_MUTEX_INITIALIZER;
static char own_label[DMA_BUF_NAME_LEN];

/* Tried again each time until there is memory for it. */
static _Atomic(uint64_t) *cookie_map(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	_Atomic(uint64_t) *known = NULL;
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, size, MADV_WIPEONFORK) == 0 &&
	    atomic_compare_exchange_strong(&process_cookie_page, &known, page))
		return page;
	munmap(page, size);
	return known;
}

uint64_t process_cookie(void)
{
	_Atomic(uint64_t) *page = atomic_load_explicit(&process_cookie_page, memory_order_acquire);
	uint64_t cookie, fresh;

	if (!page)
		page = cookie_map();
	if (!page) {
		errno = ENOMEM;
		return 0;
	}
	cookie = atomic_load_explicit(page, memory_order_relaxed);
	if (cookie)
		return cookie;
	fresh = atomic_fetch_add(&cookie_counter, 1) + 1;
	if (atomic_compare_exchange_strong(page, &cookie, fresh))
		return fresh;
	return cookie;
}

void process_label(char *label)
{
	pthread_mutex_lock(&label_lock);
	memcpy(label, own_label, DMA_BUF_NAME_LEN);
	pthread_mutex_unlock(&label_lock);
	if (!label[0])
		text_copy(label, DMA_BUF_NAME_LEN, program_invocation_short_name);
}

DMABUF_PUBLIC int dmabuf_set_label(const char *label)
{
	int err;

	if (label) {
		err = text_check(label, DMA_BUF_NAME_LEN, false, "label");
		if (err)
			return err;
	}
	pthread_mutex_lock(&label_lock);
	text_copy(own_label, sizeof(own_label), label ? label : "");
	pthread_mutex_unlock(&label_lock);
	return 0;
}

void process_hold_for_fork(bool hold)
{
	if (hold)
		pthread_mutex_lock(&label_lock);
	else
		pthread_mutex_unlock(&label_lock);
}
