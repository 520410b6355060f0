// SPDX-License-Identifier: MIT
/* What calls itself a home and is none, or a bad one: whoever asks gets an error, and nothing else.
 */
#include <stdio.h>
#include <sys/random.h>

#include "home.h"
#include "home/homes.h"

/* A home as it should be, but for one thing. */
struct imposter {
	struct home_address address;
	struct gate ready;
	void (*spoil_challenge)(struct wire_challenge *m);
	void (*spoil_answer)(struct wire_answer *m);
	int (*make)(void);			   /* what is given as storage; -1: nothing */
	void (*spoil_heaps)(struct wire_heaps *m); /* which are the answer, then */
	size_t length;				   /* of the answer; 0: as it should be */
	bool knows_secret;
	bool twice;  /* the storage */
	bool silent; /* instead of the answer */
	bool hangs_up;
	int first_hang_ups; /* so many times, and never again */
	int listener;
	pid_t pid;
};

static int good_storage(void)
{
	int fd = memfd_create("good", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ASSERT_OK(ftruncate(fd, 12288));
	ASSERT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	return fd;
}

static void send_message(const struct imposter *i, int to, const void *bytes, size_t length, int fd)
{
	union {
		char space[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { (void *)bytes, length };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t count = fd < 0 ? 0 : i->twice ? 2 : 1;
	int fds[2] = { fd, fd };

	if (count) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		*CMSG_FIRSTHDR(&msg) =
			(struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(count * sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, count * sizeof(int));
	}
	(void)!sendmsg(to, &msg, MSG_NOSIGNAL);
}

static void answer(const struct imposter *i, int to)
{
	uint8_t bytes[sizeof(union wire_message) + 100] = { 0 };
	struct wire_answer *m = (void *)bytes;
	int fd = i->make ? i->make() : good_storage();

	m->head = wire_head(WIRE_ANSWER);
	m->storage = (struct home_storage){ .generation = 1,
					    .size = 12288,
					    .granule = 4096,
					    .alignment = 4096,
					    .flags = HOME_CPU_MAPPABLE,
					    .heap = "memfd" };
	if (i->spoil_answer)
		i->spoil_answer(m);
	send_message(i, to, bytes, i->length ? i->length : sizeof(*m), fd);
	if (fd >= 0)
		close(fd);
}

static void answer_heaps(const struct imposter *i, int to)
{
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS] = { { .size = sizeof(list[0]) } };
	struct wire_heaps m;

	wire_put_heaps(&m, list, (unsigned int)dma_buf_heap_list(list, DMA_BUF_MAX_HEAPS));
	i->spoil_heaps(&m);
	send_message(i, to, &m, sizeof(m), -1);
}

static void challenge(const struct imposter *i, int to, const struct wire_hello *hello)
{
	struct wire_challenge m = { .head = wire_head(WIRE_CHALLENGE) };
	struct wire_nonces nonces = { { 0 }, { 0 } };

	memcpy(nonces.visitor, hello->nonce, sizeof(nonces.visitor));
	if (i->knows_secret)
		wire_prove_home(m.proof, &i->address, &nonces);
	if (i->spoil_challenge)
		i->spoil_challenge(&m);
	send_message(i, to, &m, sizeof(m), -1);
}

/* One talk; what it hears must never be the secret. */
static void talk(struct imposter *i, int to)
{
	union wire_message m;
	ssize_t got;

	while ((got = recv(to, &m, sizeof(m), 0)) > 0) {
		ASSERT(!memmem(&m, (size_t)got, i->address.secret, sizeof(i->address.secret)));
		if (wire_is(&m, (size_t)got, WIRE_HELLO)) {
			challenge(i, to, &m.hello);
			continue;
		}
		ASSERT(i->knows_secret);
		if (i->hangs_up || i->first_hang_ups-- > 0)
			return;
		if (i->spoil_heaps)
			answer_heaps(i, to);
		else if (!i->silent)
			answer(i, to);
	}
}

static int serve(void *arg)
{
	struct imposter *i = arg;
	int fd;

	for (;;) {
		fd = accept4(i->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return 1;
		talk(i, fd);
		close(fd);
	}
}

static void begin(struct imposter *i)
{
	struct sockaddr_un at;
	socklen_t length;

	if (!i->address.secret[0])
		ASSERT_EQ(getrandom(&i->address, sizeof(i->address), 0), sizeof(i->address));
	i->address.secret[0] |= 1;
	length = talk_address(i->address.name, &at);
	i->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ASSERT_OK(i->listener);
	ASSERT_OK(bind(i->listener, (struct sockaddr *)&at, length));
	ASSERT_OK(listen(i->listener, 10));
	i->pid = spawn(serve, i);
	close(i->listener);
}

static void end(struct imposter *i)
{
	kill(i->pid, SIGKILL);
	ASSERT_EQ(reap(i->pid), 128 + SIGKILL);
}

static void check(struct imposter *i, int err, const char *words)
{
	struct home_storage s = { .size = 77 };
	struct heap_attempts attempts;
	int before = open_fds();

	begin(i);
	ASSERT_ERR(home_fetch(&i->address, -1, 1, i->silent || i->hangs_up ? 50 : MS, &s), err);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), words);
	ASSERT_ERR(home_prepare(&i->address, -1, 0, ordinary, 1, i->silent || i->hangs_up ? 50 : MS,
				&s, &attempts),
		   err);
	ASSERT_EQ(s.size, 77);
	ASSERT_EQ(open_fds(), before);
	end(i);
}

/* So that the tests below fail for what they name. */
TEST(F5_a_good_home_of_a_tests_making_is_believed)
{
	struct imposter i = { .knows_secret = true };
	struct home_storage s;
	int fd;

	begin(&i);
	fd = home_fetch(&i.address, -1, 1, MS, &s);
	ASSERT_OK(fd);
	ASSERT_STR_EQ(s.heap, "memfd");
	close(fd);
	end(&i);
}

/* As a home does that has too many visitors. */
TEST(F5_who_is_sent_away_comes_again)
{
	struct imposter i = { .knows_secret = true, .first_hang_ups = 4 };
	struct home_storage s;
	int fd;

	begin(&i);
	fd = home_fetch(&i.address, -1, 1, MS, &s);
	ASSERT_OK(fd);
	close(fd);
	end(&i);
}

/* It waits for the exporter's death, takes the name, and hopes. */
TEST(F5_who_takes_a_dead_homes_name_is_not_believed)
{
	struct exporter_process e = { .more = NULL };
	struct imposter i = { .knows_secret = false };
	int socket = exporter_start(&e);

	exporter_kill(&e);
	i.address = e.block->address;
	check(&i, EACCES, "does not know its secret");
	close(socket);
	exporter_close(&e);
}

static void flip(struct wire_challenge *m)
{
	m->proof[15] ^= 0x80;
}

static void other_head(struct wire_challenge *m)
{
	m->head.version++;
}

static void other_type(struct wire_challenge *m)
{
	m->head.type = WIRE_ANSWER;
}

TEST(F5_a_challenge_must_be_one)
{
	check(&(struct imposter){ .knows_secret = true, .spoil_challenge = flip }, EACCES,
	      "does not know its secret");
	check(&(struct imposter){ .knows_secret = true, .spoil_challenge = other_head }, EPROTO,
	      "is none");
	check(&(struct imposter){ .knows_secret = true, .spoil_challenge = other_type }, EPROTO,
	      "is none");
}

TEST(F5_an_answer_must_be_one)
{
	check(&(struct imposter){ .knows_secret = true, .length = 1 }, EPROTO, "is no answer");
	check(&(struct imposter){ .knows_secret = true, .length = sizeof(struct wire_answer) - 1 },
	      EPROTO, "is no answer");
	check(&(struct imposter){ .knows_secret = true, .length = sizeof(union wire_message) + 1 },
	      EPROTO, "too long");
	check(&(struct imposter){ .knows_secret = true, .twice = true }, EPROTO,
	      "too many descriptors");
	check(&(struct imposter){ .knows_secret = true, .silent = true }, ETIMEDOUT, "in time");
	check(&(struct imposter){ .knows_secret = true, .hangs_up = true }, ETIMEDOUT, "in time");
}

static void no_generation(struct wire_answer *m)
{
	m->storage.generation = 0;
}

static void granule_of_three(struct wire_answer *m)
{
	m->storage.granule = 3 * 4096;
}

static void huge_granule(struct wire_answer *m)
{
	m->storage.granule = UINT64_C(1) << 63;
}

static void no_alignment(struct wire_answer *m)
{
	m->storage.alignment = 0;
}

static void huge_size(struct wire_answer *m)
{
	m->storage.size = UINT64_MAX & ~UINT64_C(4095);
}

static void odd_size(struct wire_answer *m)
{
	m->storage.size = 12287;
}

static void unknown_flag(struct wire_answer *m)
{
	m->storage.flags = HOME_FLAGS + 1;
}

static void unknown_high_flag(struct wire_answer *m)
{
	m->storage.flags = UINT64_C(1) << 63;
}

static void no_heap(struct wire_answer *m)
{
	m->storage.heap[0] = '\0';
}

static void many_attempts(struct wire_answer *m)
{
	m->attempts.count = UINT32_MAX;
}

static void attempt_without_error(struct wire_answer *m)
{
	m->attempts.count = 1;
}

static void error_and_storage(struct wire_answer *m)
{
	m->error = ENOMEM;
}

static void absurd_error(struct wire_answer *m)
{
	m->error = INT32_MIN;
}

TEST(F5_a_description_of_storage_must_make_sense)
{
	static void (*const spoil[])(struct wire_answer * m) = {
		no_generation,	       granule_of_three, huge_granule, many_attempts,
		no_alignment,	       huge_size,	 odd_size,     unknown_flag,
		attempt_without_error, no_heap,		 absurd_error, error_and_storage,
		unknown_high_flag,
	};

	for (unsigned int i = 0; i < sizeof(spoil) / sizeof(spoil[0]); i++)
		check(&(struct imposter){ .knows_secret = true, .spoil_answer = spoil[i] }, EPROTO,
		      "the buffer's home: ");
}

static int nothing(void)
{
	return -1;
}

static int half_of_a_pipe(void)
{
	int fds[2];

	ASSERT_OK(pipe2(fds, O_CLOEXEC));
	close(fds[0]);
	return fds[1];
}

static int a_file(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	ASSERT_OK(ftruncate(fd, 12288));
	return fd;
}

static int null_device(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int directory(void)
{
	return open("/", O_PATH | O_CLOEXEC);
}

static int memfd_with(off_t size, int seals)
{
	int fd = memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ASSERT_OK(ftruncate(fd, size));
	ASSERT_OK(fcntl(fd, F_ADD_SEALS, seals));
	return fd;
}

static int can_shrink(void)
{
	return memfd_with(12288, F_SEAL_GROW | F_SEAL_SEAL);
}

static int can_grow(void)
{
	return memfd_with(12288, F_SEAL_SHRINK | F_SEAL_SEAL);
}

static int can_be_sealed(void)
{
	return memfd_with(12288, F_SEAL_SHRINK | F_SEAL_GROW);
}

static int is_sealed_against_writing(void)
{
	return memfd_with(12288, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_WRITE);
}

static int too_short(void)
{
	return memfd_with(8192, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

static int read_only(void)
{
	char path[64];
	int fd = good_storage(), again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return again;
}

TEST(F5_storage_must_be_such_that_nobody_can_take_it_away)
{
	static const struct {
		int (*make)(void);
		const char *words;
	} bad[] = {
		{ nothing, "is not to what was asked" },
		{ half_of_a_pipe, "is not open for reading and writing" },
		{ a_file, "is " },
		{ null_device, "is " },
		{ directory, "is not open for reading and writing" },
		{ can_shrink, "not sealed against resizing" },
		{ can_grow, "not sealed against resizing" },
		{ can_be_sealed, "not sealed against resizing and further seals" },
		{ is_sealed_against_writing, "sealed against writing" },
		{ too_short, "8192 bytes of storage instead of 12288" },
		{ read_only, "is not open for reading and writing" },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check(&(struct imposter){ .knows_secret = true, .make = bad[i].make }, EPROTO,
		      bad[i].words);
}

static void other_generation(struct wire_answer *m)
{
	m->storage.generation = 2;
}

TEST(F5_storage_of_another_number_is_not_what_was_asked_for)
{
	struct imposter i = { .knows_secret = true, .spoil_answer = other_generation };
	struct home_storage s;
	int before = open_fds();

	begin(&i);
	ASSERT_ERR(home_fetch(&i.address, -1, 1, MS, &s), EPROTO);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "gives storage 2 instead of 1");
	ASSERT_EQ(open_fds(), before);
	end(&i);
}

static void escapes(struct wire_answer *m)
{
	m->error = ENOMEM;
	memset(m->words, '\x1b', sizeof(m->words));
	m->attempts.count = 1;
	m->attempts.list[0].error = EIO;
	memset(m->attempts.list[0].heap, '\n', sizeof(m->attempts.list[0].heap));
	memset(m->attempts.list[0].why, '\x7f', sizeof(m->attempts.list[0].why));
}

/* An error of a home's becomes the caller's, with words that play with no terminal. */
TEST(F5_a_homes_words_are_made_fit_to_be_shown)
{
	struct imposter i = { .knows_secret = true, .spoil_answer = escapes, .make = nothing };
	struct heap_attempts attempts;
	struct home_storage s;

	begin(&i);
	ASSERT_ERR(home_prepare(&i.address, -1, 0, ordinary, 1, MS, &s, &attempts), ENOMEM);
	ASSERT_STR_CONTAINS(dmabuf_last_error(), "????");
	ASSERT(!strchr(dmabuf_last_error(), '\x1b'));
	ASSERT_EQ(attempts.count, 1);
	ASSERT_EQ(attempts.list[0].error, EIO);
	ASSERT_EQ(strspn(attempts.list[0].heap, "?"), sizeof(attempts.list[0].heap) - 1);
	ASSERT_EQ(strspn(attempts.list[0].why, "?"), sizeof(attempts.list[0].why) - 1);
	end(&i);
}

static void nothing_wrong(struct wire_heaps *m)
{
}

static void no_heaps(struct wire_heaps *m)
{
	m->count = 0;
}

static void many_heaps(struct wire_heaps *m)
{
	m->count = DMA_BUF_MAX_HEAPS + 1;
}

static void nameless_heap(struct wire_heaps *m)
{
	m->list[1].name[0] = '\0';
}

static void odd_chunk(struct wire_heaps *m)
{
	m->list[m->count - 1].chunk = 4097;
}

static void unknown_heap_flag(struct wire_heaps *m)
{
	m->list[0].flags = WIRE_HEAP_FLAGS + 1;
}

TEST(F8_heaps_of_another_process_must_make_sense)
{
	static void (*const spoil[])(struct wire_heaps * m) = {
		nothing_wrong, no_heaps, many_heaps, nameless_heap, odd_chunk, unknown_heap_flag,
	};
	struct dma_buf_heap_info list[DMA_BUF_MAX_HEAPS];
	struct home_storage s;

	for (unsigned int n = 0; n < sizeof(spoil) / sizeof(spoil[0]); n++) {
		struct imposter i = { .knows_secret = true, .spoil_heaps = spoil[n] };

		begin(&i);
		if (!n) {
			ASSERT(home_heaps(&i.address, -1, MS, list) >= 6);
			ASSERT_STR_EQ(list[0].name, "memfd");
			ASSERT_ERR(home_fetch(&i.address, -1, 1, MS, &s), EPROTO);
		} else {
			ASSERT_ERR(home_heaps(&i.address, -1, MS, list), EPROTO);
			ASSERT_STR_CONTAINS(dmabuf_last_error(), "the buffer's home: ");
		}
		end(&i);
	}
}

TEST(F5_what_leads_to_no_home_is_refused)
{
	struct exporter_process e = { .more = NULL };
	struct home_storage s;
	int socket = exporter_start(&e), other[2];

	socket_pair(SOCK_STREAM, other);
	ASSERT_ERR(home_fetch(&e.block->address, other[0], 1, MS, &s), EINVAL);
	ASSERT_ERR(home_fetch(&e.block->address, STDERR_FILENO, 1, MS, &s), EINVAL);
	close(other[0]);
	close(other[1]);
	/* Somebody who never looks. */
	socket_pair(SOCK_SEQPACKET, other);
	ASSERT_ERR(home_fetch(&e.block->address, other[0], 1, 50, &s), ETIMEDOUT);
	close(other[0]);
	close(other[1]);
	close(socket);
	exporter_end(&e);
}
