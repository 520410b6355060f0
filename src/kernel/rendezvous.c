// SPDX-License-Identifier: MIT
#include "kernel/rendezvous.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "kernel/address.h"
#include "kernel/marks.h"
#include "memfd.h"
#include "registry.h"

/* All of it; and how long one who does not answer keeps others waiting at a time. */
#define PATIENCE_NS 5000000000ull
#define ANSWER_MS 250
#define NAP_FIRST_NS 200000
#define NAP_LAST_NS 10000000

struct search {
	int fd;
	const struct kernel_facts *facts;
	uint32_t netns;
	uint64_t deadline;
	long nap_ns;
	struct kernel_mark marks[KERNEL_MARKS_MAX];
	int count;
	bool silent;				      /* somebody is there and does not answer */
	struct kernel_mark cleared[KERNEL_MARKS_MAX]; /* by us: nobody answered there */
	int num_cleared;
};

int kernel_state_new(const struct kernel_facts *facts, uint32_t number)
{
	struct control_facts state = { .size = facts->size,
				       .flags = SHM_SPLIT | SHM_KERNEL,
				       .payload_dev = facts->device,
				       .payload_ino = facts->inode,
				       .resv_first = (uint32_t)(facts->inode * 3) % SHM_RESV_LINES,
				       .rendezvous = number };
	struct control c;
	int fd, err;

	if (facts->mode == O_RDONLY)
		state.flags |= SHM_READ_ONLY;
	memcpy(state.exp_name, facts->exp_name, sizeof(state.exp_name));
	fd = memfd_make("dmabuf:kernel", control_size());
	if (fd < 0)
		return fd;
	err = memfd_seal(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (!err)
		err = control_map(&c, fd, control_size(), true, true);
	if (err) {
		close(fd);
		return err;
	}
	/* Every access is told to the kernel, not only those of devices that came here. */
	atomic_store(&c.resv->lines[state.resv_first].state.coherency, SHM_LOCK_KERNEL);
	control_format(&c, &state);
	control_set_name(&c, facts->name);
	control_unmap(&c);
	return fd;
}

static void nap(struct search *s)
{
	struct timespec ts = { .tv_nsec = s->nap_ns };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	s->nap_ns = s->nap_ns * 2 > NAP_LAST_NS ? NAP_LAST_NS : s->nap_ns * 2;
}

/* Is the answer's second descriptor the same dma-buf? Then who answered has it. */
static bool proves(int fd, const struct kernel_facts *facts)
{
	struct stat st;

	return kernel_is_dmabuf(fd) && fstat(fd, &st) == 0 && st.st_dev == facts->device &&
	       st.st_ino == facts->inode;
}

/* A control memfd; -EAGAIN: no answer, or none to be believed. */
static int receive(int socket, const struct kernel_facts *facts)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	uint64_t deadline = clock_ms() + ANSWER_MS;
	int fds[2], n;

	do
		n = poll(&p, 1, clock_left(deadline));
	while (n < 0 && errno == EINTR);
	if (n <= 0 || kernel_message_receive(socket, fds))
		return -EAGAIN;
	/* 0 says that there is none. */
	n = proves(fds[1], facts) ? fcntl(fds[0], F_DUPFD_CLOEXEC, 1) : -1;
	close(fds[1]);
	close(fds[0]);
	return n < 0 ? -EAGAIN : n;
}

/* A control memfd; -ENOENT: nobody is there; -EAGAIN: somebody, who does not answer. */
static int ask_one(struct search *s, const struct kernel_mark *mark, unsigned int place)
{
	int pair[2], fds[2], ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return dmabuf_fail(errno, "no descriptors to ask for a dma-buf's state: %s",
				   strerror(errno));
	fds[0] = pair[1];
	fds[1] = s->fd;
	ret = kernel_message_send_to(s->facts->inode, mark->number, place, fds);
	close(pair[1]);
	if (!ret)
		ret = receive(pair[0], s->facts);
	close(pair[0]);
	return ret;
}

static int ask(struct search *s, const struct kernel_mark *mark)
{
	int ret, answer = -ENOENT;

	for (unsigned int place = 0; place < KERNEL_PLACES; place++) {
		ret = ask_one(s, mark, place);
		if (ret >= 0 || (ret != -ENOENT && ret != -EAGAIN))
			return ret;
		if (ret == -EAGAIN)
			answer = ret;
		/* Who was not asked is not known to be gone. */
		if (clock_ns() >= s->deadline)
			return -EAGAIN;
	}
	return answer;
}

static void clear(struct search *s, const struct kernel_mark *mark)
{
	kernel_mark_clear(s->fd, mark);
	if (s->num_cleared < KERNEL_MARKS_MAX)
		s->cleared[s->num_cleared++] = *mark;
}

static int read_marks(struct search *s)
{
	s->silent = false;
	s->count = kernel_marks(s->fd, s->marks);
	return s->count < 0 ? s->count : 0;
}

/*
 * Ask at all marks of this namespace but @own. A control memfd; 0: nobody has it; -errno with
 * words. Marks at which nobody is are taken away.
 */
static int ask_all(struct search *s, uint32_t own)
{
	int ret = read_marks(s);

	for (int i = 0; !ret && i < s->count; i++) {
		const struct kernel_mark *mark = &s->marks[i];

		if (mark->netns != s->netns || mark->number == own)
			continue;
		ret = ask(s, mark);
		if (ret == -EAGAIN)
			s->silent = true;
		else if (ret == -ENOENT)
			clear(s, mark);
		else
			return ret;
		ret = 0;
	}
	return ret;
}

/*
 * Who was on his way to a state when its mark was taken away answers by now, or sees our mark: he
 * answers first and looks then. As ask_all().
 */
static int ask_cleared(struct search *s, uint32_t own)
{
	int ret = 0;

	for (int i = 0; !ret && i < s->num_cleared; i++) {
		if (s->cleared[i].number == own)
			continue;
		ret = ask(s, &s->cleared[i]);
		if (ret == -EAGAIN)
			s->silent = true;
		if (ret == -EAGAIN || ret == -ENOENT)
			ret = 0;
	}
	return ret;
}

static bool elsewhere(const struct search *s)
{
	for (int i = 0; i < s->count; i++)
		if (s->marks[i].netns != s->netns)
			return true;
	return false;
}

static bool lower(const struct search *s, uint32_t own)
{
	for (int i = 0; i < s->count; i++)
		if (s->marks[i].netns == s->netns && s->marks[i].number < own)
			return true;
	return false;
}

static int too_late(const struct search *s)
{
	return dmabuf_fail(ETIMEDOUT,
			   "a process that has adopted kernel dma-buf %" PRIu64
			   " does not answer (stopped?): have the buffer passed with "
			   "dma_buf_send()",
			   s->facts->inode);
}

static uint32_t random_number(void)
{
	uint32_t number = 0;

	while (!number) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			number = (uint32_t)clock_ns();
		number &= KERNEL_MARK_NUMBER_MAX;
	}
	return number;
}

/*
 * Our mark is set, and then we look: of two who do so at least one sees the other. Of those who
 * have nothing to show yet, the lower number stays. 0: it is ours; 1: another's comes first, begin
 * again; a control memfd + 2; -errno.
 */
static int defend(struct search *s, uint32_t own)
{
	int ret;

	for (;;) {
		ret = ask_all(s, own);
		if (!ret)
			ret = ask_cleared(s, own);
		if (ret > 0)
			return ret + 2;
		if (ret < 0 || !s->silent)
			return ret;
		if (lower(s, own))
			return 1;
		if (clock_ns() >= s->deadline)
			return too_late(s);
		nap(s);
	}
}

static int make_own(struct search *s, struct kernel_claim *claim)
{
	struct kernel_mark mark = { .number = random_number(), .netns = s->netns };
	int fd, ret;

	fd = kernel_state_new(s->facts, mark.number);
	if (fd < 0)
		return fd;
	claim->socket = kernel_address_bind(s->facts->inode, mark.number, 0);
	ret = claim->socket < 0 ? claim->socket : kernel_mark_set(s->fd, &mark);
	if (!ret)
		ret = defend(s, mark.number);
	if (!ret)
		return fd;
	kernel_mark_clear(s->fd, &mark);
	kernel_claim_drop(claim);
	close(fd);
	if (ret < 0)
		return ret;
	return ret == 1 ? -EAGAIN : ret - 2;
}

static void search_begin(struct search *s, int fd, const struct kernel_facts *facts)
{
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	s->facts = facts;
	s->netns = kernel_netns();
	s->deadline = clock_ns() + PATIENCE_NS;
	s->nap_ns = NAP_FIRST_NS;
}

int kernel_rendezvous_other(int fd, const struct kernel_facts *facts, uint32_t own)
{
	struct search s;
	int ret;

	search_begin(&s, fd, facts);
	for (;;) {
		ret = ask_all(&s, own);
		if (ret || !s.silent)
			return ret;
		if (clock_ns() >= s.deadline)
			return too_late(&s);
		nap(&s);
	}
}

int kernel_rendezvous(int fd, const struct kernel_facts *facts, struct kernel_claim *claim)
{
	struct search s;
	int ret;

	search_begin(&s, fd, facts);

	claim->socket = -1;
	for (;;) {
		ret = ask_all(&s, 0);
		if (ret)
			return ret;
		if (!s.silent && elsewhere(&s))
			return dmabuf_fail(EXDEV,
					   "kernel dma-buf %" PRIu64 " was adopted in another "
					   "network namespace, whose state cannot be found from "
					   "here: have it passed with dma_buf_send(), or use "
					   "dma_buf_adopt() with DMA_BUF_ADOPT_PRIVATE",
					   facts->inode);
		if (!s.silent) {
			ret = make_own(&s, claim);
			if (ret != -EAGAIN)
				return ret;
		}
		if (clock_ns() >= s.deadline)
			return too_late(&s);
		nap(&s);
	}
}

void kernel_claim_drop(struct kernel_claim *claim)
{
	if (claim->socket >= 0)
		close(claim->socket);
	claim->socket = -1;
}
