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
/* Of those who set or take away a mark: one at a time. */
#define PLACE_OF_TURN KERNEL_PLACES

struct turn {
	struct kernel_claim claim;
	uint32_t number;
};

struct search {
	int fd;
	const struct kernel_facts *facts;
	uint32_t netns;
	uint64_t deadline;
	long nap_ns;
	struct kernel_mark marks[KERNEL_MARKS_MAX];
	int count;
	bool silent; /* somebody is there and does not answer */
	/* Of marks that we take away, until our own is set. */
	struct turn turns[KERNEL_MARKS_MAX];
	int num_turns;
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

static int none_left(int err)
{
	return dmabuf_fail(err, "no descriptors left to take a dma-buf's state: %s", strerror(err));
}

/* A control memfd; -EAGAIN: no answer, or none to be believed; -errno with words. */
static int receive(int socket, const struct kernel_facts *facts)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	uint64_t deadline = clock_ms() + ANSWER_MS;
	int fds[2], n, err;

	do
		n = poll(&p, 1, clock_left(deadline));
	while (n < 0 && errno == EINTR);
	err = n <= 0 ? -EAGAIN : kernel_message_receive(socket, fds);
	if (err)
		return err == -EMFILE ? none_left(EMFILE) : -EAGAIN;
	if (proves(fds[1], facts)) {
		/* 0 says that there is none. */
		n = fcntl(fds[0], F_DUPFD_CLOEXEC, 1);
		err = n < 0 ? none_left(errno) : n;
	} else {
		err = -EAGAIN;
	}
	close(fds[1]);
	close(fds[0]);
	return err;
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

static int read_marks(struct search *s)
{
	s->silent = false;
	s->count = kernel_marks(s->fd, s->marks);
	return s->count < 0 ? s->count : 0;
}

static bool has_turn(const struct search *s, uint32_t number)
{
	for (int i = 0; i < s->num_turns; i++)
		if (s->turns[i].number == number)
			return true;
	return false;
}

/* Another's turn at the mark of @number is over soon: -EAGAIN; 0: it is ours; -errno with words. */
static int take_turn(struct search *s, uint32_t number)
{
	struct turn *turn = &s->turns[s->num_turns];
	int err;

	if (has_turn(s, number))
		return 0;
	if (s->num_turns == KERNEL_MARKS_MAX)
		return -EAGAIN;
	err = kernel_claim_take(&turn->claim, s->facts->inode, number, PLACE_OF_TURN);
	if (err)
		return err == -EADDRINUSE ? -EAGAIN : err;
	turn->number = number;
	s->num_turns++;
	return 0;
}

static void end_turn(struct search *s)
{
	kernel_claim_drop(&s->turns[--s->num_turns].claim);
}

/*
 * Nobody answers at @mark. It is taken away in our turn, which lasts until our own is set: somebody
 * who is on his way to its state waits for his turn, sets it again, and then sees ours.
 */
static int take_away(struct search *s, const struct kernel_mark *mark)
{
	int before = s->num_turns, ret = take_turn(s, mark->number);

	if (ret)
		return ret;
	ret = ask(s, mark);
	if (ret == -ENOENT)
		kernel_mark_clear(s->fd, mark);
	else if (s->num_turns > before)
		end_turn(s);
	return ret;
}

/* As ask(); a mark at which nobody is has been taken away. */
static int ask_or_clear(struct search *s, const struct kernel_mark *mark)
{
	int ret = ask(s, mark);

	return ret == -ENOENT ? take_away(s, mark) : ret;
}

/*
 * Ask at all marks of this namespace but @own. A control memfd; 0: nobody has it, or somebody does
 * not say (s->silent); -errno with words.
 */
static int ask_all(struct search *s, uint32_t own)
{
	int ret = read_marks(s);

	for (int i = 0; !ret && i < s->count; i++) {
		if (s->marks[i].netns != s->netns || s->marks[i].number == own)
			continue;
		ret = ask_or_clear(s, &s->marks[i]);
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
	ret = kernel_claim_take(claim, s->facts->inode, mark.number, 0);
	if (!ret)
		ret = kernel_mark_set(s->fd, &mark);
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

static void search_end(struct search *s)
{
	while (s->num_turns)
		end_turn(s);
}

static int look_for_other(struct search *s, uint32_t own)
{
	struct kernel_mark mark = { .number = own, .netns = s->netns };
	int ret;

	for (;;) {
		ret = take_turn(s, own);
		if (!ret)
			ret = kernel_mark_set(s->fd, &mark);
		if (!ret)
			ret = ask_all(s, own);
		if (ret != -EAGAIN && (ret || !s->silent))
			return ret;
		if (clock_ns() >= s->deadline)
			return too_late(s);
		nap(s);
	}
}

int kernel_rendezvous_other(int fd, const struct kernel_facts *facts, uint32_t own)
{
	struct search s;
	int ret;

	search_begin(&s, fd, facts);
	ret = look_for_other(&s, own);
	search_end(&s);
	return ret;
}

static int too_far(const struct search *s)
{
	return dmabuf_fail(
		EXDEV,
		"kernel dma-buf %" PRIu64 " was adopted in another network namespace, whose "
		"state cannot be found from here: have it passed with dma_buf_send(), or use "
		"dma_buf_adopt() with DMA_BUF_ADOPT_PRIVATE",
		s->facts->inode);
}

static int find_or_make(struct search *s, struct kernel_claim *claim)
{
	int ret;

	for (;;) {
		ret = ask_all(s, 0);
		if (ret)
			return ret;
		if (!s->silent && elsewhere(s))
			return too_far(s);
		if (!s->silent) {
			ret = make_own(s, claim);
			if (ret != -EAGAIN)
				return ret;
		}
		if (clock_ns() >= s->deadline)
			return too_late(s);
		nap(s);
	}
}

/* It would look as if everybody else were in another. */
static int no_namespace(void)
{
	return dmabuf_fail(ENOENT,
			   "whoever else has adopted this kernel dma-buf cannot be looked for: "
			   "/proc/thread-self/ns/net is not there (is /proc mounted?)");
}

int kernel_rendezvous(int fd, const struct kernel_facts *facts, struct kernel_claim *claim)
{
	struct search s;
	int ret;

	search_begin(&s, fd, facts);
	ret = s.netns ? find_or_make(&s, claim) : no_namespace();
	search_end(&s);
	return ret;
}

int kernel_claim_take(struct kernel_claim *claim, uint64_t inode, uint32_t number,
		      unsigned int place)
{
	int fd;

	registry_lock();
	fd = kernel_address_bind(inode, number, place);
	if (fd >= 0) {
		claim->socket.fd = fd;
		registry_track_fd(&claim->socket);
	}
	registry_unlock();
	return fd < 0 ? fd : 0;
}

void kernel_claim_drop(struct kernel_claim *claim)
{
	registry_lock();
	if (claim->socket.fd >= 0) {
		close(claim->socket.fd);
		registry_untrack_fd(&claim->socket);
	}
	claim->socket.fd = -1;
	registry_unlock();
}
