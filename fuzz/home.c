// SPDX-License-Identifier: MIT
/*
 * What is said between visitors and homes. The first byte says who is played: a message by itself,
 * a visitor of a home of ours, or a home that is asked by us. Then come changes of right messages:
 * each three bytes, how many bytes to change and where, and the new ones.
 */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "home/homes.h"
#include "hostile.h"

struct input {
	const uint8_t *data;
	size_t left;
};

static struct home_address address;
static int kinds[5]; /* descriptors that a home might give */

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static void change(struct input *in, void *message, size_t length)
{
	unsigned int count = take(in) % 64, at = take(in), far = take(in);

	for (at |= far << 8; count && in->left; count--, at++)
		((uint8_t *)message)[at % length] ^= take(in);
}

/* A message, cut or as it is. */
static void post(struct input *in, int to, const void *message, size_t length, int fd)
{
	unsigned int cut = take(in);

	if (cut % 8 == 7)
		length = length * cut / 256;
	(void)talk_send(to, message, length, fd);
}

static uint64_t in_force(void *priv)
{
	return 0;
}

static bool at_work(void *priv)
{
	return true;
}

static int sealed(off_t size, int seals)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	HOSTILE_CHECK(fd >= 0 && !ftruncate(fd, size) && !fcntl(fd, F_ADD_SEALS, seals));
	return fd;
}

static void begin(void)
{
	static const struct home_ops ops = { .generation = in_force, .at_work = at_work };
	struct home *home;

	HOSTILE_CHECK(!home_open(&home, &address, "fuzz", HOSTILE_SIZE, &ops, NULL));
	kinds[0] = -1;
	kinds[1] = sealed(8192, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	kinds[2] = sealed(8192, F_SEAL_GROW);
	kinds[3] = sealed(4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	kinds[4] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static void check_storage(const struct home_storage *s)
{
	check_text(s->heap, sizeof(s->heap));
	HOSTILE_CHECK(s->generation && !(s->flags & ~HOME_FLAGS));
	HOSTILE_CHECK(s->granule >= 4096 && !(s->granule & (s->granule - 1)));
	HOSTILE_CHECK(s->alignment >= 4096 && !(s->alignment & (s->alignment - 1)));
	HOSTILE_CHECK(s->size && s->size % s->granule == 0);
}

static void check_attempts(const struct heap_attempts *a)
{
	HOSTILE_CHECK(a->count <= DMA_BUF_MAX_HEAPS);
	for (uint32_t i = 0; i < a->count; i++) {
		check_text(a->list[i].heap, sizeof(a->list[i].heap));
		check_text(a->list[i].why, sizeof(a->list[i].why));
		HOSTILE_CHECK(a->list[i].error > 0);
	}
}

static void check_heaps(const struct dma_buf_heap_info *list, uint32_t count)
{
	HOSTILE_CHECK(count && count <= DMA_BUF_MAX_HEAPS);
	for (uint32_t i = 0; i < count; i++) {
		check_text(list[i].name, sizeof(list[i].name));
		check_text(list[i].where, sizeof(list[i].where));
		HOSTILE_CHECK(list[i].size == sizeof(list[i]) && list[i].alignment);
	}
}

static void play_message(struct input *in)
{
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS];
	union wire_message m = { .head = { 0 } };
	bool with_fd = take(in) & 1;

	memcpy(&m, in->data, in->left < sizeof(m) ? in->left : sizeof(m));
	if (!wire_check_request(&m.request))
		for (uint32_t i = 0; i < m.request.heap_count; i++)
			check_text(m.request.heaps[i], sizeof(m.request.heaps[i]));
	if (!wire_take_heaps(&m.heaps, list))
		check_heaps(list, m.heaps.count);
	if (wire_check_answer(&m.answer, with_fd))
		return;
	check_attempts(&m.answer.attempts);
	check_text(m.answer.words, sizeof(m.answer.words));
	if (with_fd)
		check_storage(&m.answer.storage);
}

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un to;
	socklen_t length = talk_address(address.name, &to);

	HOSTILE_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, length) == 0);
	return fd;
}

/* The home answers, or hangs up. */
static ssize_t hear(int fd, union wire_message *m)
{
	memset(m, 0, sizeof(*m));
	return recv(fd, m, sizeof(*m), 0);
}

static void play_visitor(struct input *in)
{
	struct wire_hello hello = { .head = wire_head(WIRE_HELLO) };
	struct wire_request request = { .head = wire_head(WIRE_REQUEST),
					.wish = 1 + take(in) % 4,
					.generation = take(in) };
	struct wire_nonces nonces = { { 0 }, { 0 } };
	union wire_message m;
	int fd = dial();

	memcpy(hello.name, address.name, sizeof(hello.name));
	if (request.wish == WIRE_PREPARE) {
		request.heap_count = 1;
		strcpy(request.heaps[0], "memfd");
	}
	change(in, &hello, sizeof(hello));
	post(in, fd, &hello, sizeof(hello), kinds[take(in) % 5]);
	if (hear(fd, &m) == sizeof(m.challenge)) {
		memcpy(nonces.visitor, hello.nonce, sizeof(nonces.visitor));
		memcpy(nonces.home, m.challenge.nonce, sizeof(nonces.home));
		change(in, &request, sizeof(request));
		if (take(in) % 4)
			wire_prove_request(request.proof, &address, &nonces, &request);
		post(in, fd, &request, sizeof(request), kinds[take(in) % 5]);
		if (hear(fd, &m) == sizeof(m.answer) && wire_is(&m, sizeof(m.answer), WIRE_ANSWER))
			HOSTILE_CHECK(m.answer.error >= 0);
	}
	close(fd);
}

struct play {
	struct input *in;
	struct home_address address;
	uint32_t wish;
	int end; /* of the socket that the visitor knocks at */
};

static void answer(struct play *p, int to)
{
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS] = {
		{ .size = sizeof(list[0]), .name = "one", .alignment = 4096, .where = "here" }
	};
	union wire_message m = { .head = { 0 } };
	size_t length = sizeof(m.answer);

	m.answer.head = wire_head(WIRE_ANSWER);
	m.answer.storage = (struct home_storage){
		.generation = 1, .size = 8192, .granule = 4096, .alignment = 4096, .heap = "memfd"
	};
	if (p->wish == WIRE_LIST && take(p->in) % 4) {
		wire_put_heaps(&m.heaps, list, 1);
		length = sizeof(m.heaps);
	}
	change(p->in, &m, length);
	post(p->in, to, &m, length, kinds[take(p->in) % 5]);
}

static void *be_home(void *arg)
{
	struct wire_challenge challenge = { .head = wire_head(WIRE_CHALLENGE) };
	struct wire_nonces nonces = { { 0 }, { 0 } };
	struct play *p = arg;
	union wire_message m;
	int fd = -1;

	while (talk_receive(p->end, &m, &fd) == -EAGAIN)
		(void)recv(p->end, NULL, 0, MSG_PEEK);
	/* The next knock finds nobody. */
	(void)shutdown(p->end, SHUT_RDWR);
	if (fd < 0)
		return NULL;
	if (hear(fd, &m) == sizeof(m.hello)) {
		memcpy(nonces.visitor, m.hello.nonce, sizeof(nonces.visitor));
		wire_prove_home(challenge.proof, &p->address, &nonces);
		if (take(p->in) % 8 == 7)
			change(p->in, &challenge, sizeof(challenge));
		post(p->in, fd, &challenge, sizeof(challenge), -1);
		if (hear(fd, &m) == sizeof(m.request))
			answer(p, fd);
	}
	close(fd);
	return NULL;
}

static void play_home(struct input *in)
{
	static const char heaps[][DMA_BUF_HEAP_NAME_LEN] = { "memfd" };
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS];
	struct play p = { .in = in, .wish = 1 + take(in) % 4 };
	struct heap_attempts attempts = { .count = 0 };
	struct home_storage s = { .size = 0 };
	int ends[2], got;
	pthread_t thread;

	p.address = address;
	p.address.name[0] ^= 1; /* not one of ours */
	HOSTILE_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	p.end = ends[1];
	HOSTILE_CHECK(!pthread_create(&thread, NULL, be_home, &p));
	if (p.wish == WIRE_FETCH)
		got = home_fetch(&p.address, ends[0], 1, 20, &s);
	else if (p.wish == WIRE_PREPARE)
		got = home_prepare(&p.address, ends[0], 0, heaps, 1, 20, &s, &attempts);
	else if (p.wish == WIRE_SETTLE)
		got = home_settle(&p.address, ends[0], 20);
	else
		got = home_heaps(&p.address, ends[0], 20, list);
	shutdown(ends[0], SHUT_RDWR);
	HOSTILE_CHECK(!pthread_join(thread, NULL));
	if (got >= 0 && p.wish == WIRE_LIST) {
		check_heaps(list, (uint32_t)got);
	} else if (got >= 0 && p.wish != WIRE_SETTLE) {
		check_storage(&s);
		close(got);
	}
	check_attempts(&attempts);
	close(ends[0]);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	if (!kinds[1])
		begin();
	switch (take(&in) % 3) {
	case 0:
		play_message(&in);
		break;
	case 1:
		play_visitor(&in);
		break;
	default:
		play_home(&in);
	}
	return 0;
}
