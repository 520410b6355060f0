// SPDX-License-Identifier: MIT
/* Visitors that are no honest ones: an exporter's process goes on serving, and keeps nothing. */
#include <dirent.h>
#include <stdio.h>

#include "home.h"
#include "home/homes.h"

/* What it may have open: its own, and what the moment takes. */
struct victim {
	struct exporter_process e;
	int socket; /* a way to it */
	int fds;
};

static int count_fds(pid_t pid)
{
	char path[64];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	ASSERT(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static bool has_let_go(void *arg)
{
	struct victim *v = arg;

	return count_fds(v->e.pid) <= v->fds;
}

/* With nobody there yet; the one to look with is what check_well() prepares later. */
static void count_own(struct exporter_process *e)
{
	atomic_store(&e->block->count, count_fds(getpid()));
}

static void begin(struct victim *v)
{
	v->e.more = count_own;
	v->socket = exporter_start(&v->e);
	v->fds = atomic_load(&v->e.block->count);
}

/* Everybody else is served as before, and what came is gone. @prepared: storages before ours. */
static void check_well_after(struct victim *v, unsigned int prepared)
{
	struct home_storage s;
	int fd;

	check_storage(home_fetch(&v->e.block->address, -1, 1, MS, &s), &s, 1);
	check_storage(home_fetch(&v->e.block->address, v->socket, 1, MS, &s), &s, 1);
	fd = prepare(v->e.block, -1, 1, &s);
	ASSERT(s.generation >= 2 && s.generation <= 2 + prepared);
	check_storage(fd, &s, s.generation);
	ASSERT(eventually(has_let_go, v, MS));
}

static void check_well(struct victim *v)
{
	check_well_after(v, 0);
}

static void end(struct victim *v)
{
	close(v->socket);
	exporter_end(&v->e);
}

static int dial(const struct victim *v)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un to;
	socklen_t length = talk_address(v->e.block->address.name, &to);

	ASSERT_OK(fd);
	ASSERT_OK(connect(fd, (struct sockaddr *)&to, length));
	return fd;
}

/* Ours, and nothing comes but the end, or an answer with an error and the end. */
static void check_sent_away(int fd)
{
	union wire_message m;
	ssize_t got;

	do {
		got = recv(fd, &m, sizeof(m), 0);
		if (got > 0 && wire_is(&m, (size_t)got, WIRE_ANSWER))
			ASSERT(m.answer.error > 0);
	} while (got > 0);
	ASSERT(got == 0 || errno == ECONNRESET);
	close(fd);
}

static int send_with_fds(int to, const void *bytes, size_t length, const int *fds,
			 unsigned int count)
{
	union {
		char space[CMSG_SPACE(250 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { (void *)bytes, length };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.space,
			      .msg_controllen = CMSG_SPACE(count * sizeof(int)) };

	*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS,
						 .cmsg_len = CMSG_LEN(count * sizeof(int)) };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, count * sizeof(int));
	return sendmsg(to, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static struct wire_hello hello_to(const struct victim *v)
{
	struct wire_hello hello = { .head = wire_head(WIRE_HELLO), .nonce = "0123456789abcde" };

	memcpy(hello.name, v->e.block->address.name, sizeof(hello.name));
	return hello;
}

/* As far as the request, which is the caller's. */
static int introduce(const struct victim *v, struct wire_nonces *nonces)
{
	struct wire_hello hello = hello_to(v);
	union wire_message m;
	int fd = dial(v);

	ASSERT_EQ(send(fd, &hello, sizeof(hello), 0), sizeof(hello));
	ASSERT_EQ(recv(fd, &m, sizeof(m), 0), sizeof(m.challenge));
	memcpy(nonces->visitor, hello.nonce, sizeof(nonces->visitor));
	memcpy(nonces->home, m.challenge.nonce, sizeof(nonces->home));
	return fd;
}

TEST(F5_who_does_not_know_the_secret_gets_nothing)
{
	struct victim v = { .socket = -1 };
	struct home_address wrong;
	struct home_storage s;

	begin(&v);
	for (unsigned int bit = 0; bit < 128; bit += 17) {
		wrong = v.e.block->address;
		wrong.secret[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ASSERT_ERR(home_fetch(&wrong, -1, 1, MS, &s), EACCES);
		ASSERT_ERR(home_fetch(&wrong, v.socket, 1, MS, &s), EACCES);
	}
	check_well(&v);
	end(&v);
}

/* A visitor that does not care whether the home proves itself. */
TEST(F5_a_request_must_be_proven)
{
	struct wire_request request = { .head = wire_head(WIRE_REQUEST),
					.wish = WIRE_FETCH,
					.generation = 1 };
	struct victim v = { .socket = -1 };
	struct home_address address;
	struct wire_nonces nonces;
	union wire_message m;
	int fd;

	begin(&v);
	address = v.e.block->address;
	for (unsigned int i = 0; i < MAC_SIZE; i++) {
		fd = introduce(&v, &nonces);
		wire_prove_request(request.proof, &address, &nonces, &request);
		request.proof[i] ^= 0x10;
		ASSERT_EQ(send(fd, &request, sizeof(request), 0), sizeof(request));
		ASSERT_EQ(recv(fd, &m, sizeof(m), 0), sizeof(m.answer));
		ASSERT_EQ(m.answer.error, EACCES);
		check_sent_away(fd);
	}
	/* What was proven once is no proof of anything else, nor another time. */
	fd = introduce(&v, &nonces);
	wire_prove_request(request.proof, &address, &nonces, &request);
	request.wish = WIRE_SETTLE;
	ASSERT_EQ(send(fd, &request, sizeof(request), 0), sizeof(request));
	ASSERT_EQ(recv(fd, &m, sizeof(m), 0), sizeof(m.answer));
	ASSERT_EQ(m.answer.error, EACCES);
	check_sent_away(fd);
	request.wish = WIRE_FETCH;
	fd = introduce(&v, &nonces);
	ASSERT_EQ(send(fd, &request, sizeof(request), 0), sizeof(request));
	ASSERT_EQ(recv(fd, &m, sizeof(m), 0), sizeof(m.answer));
	ASSERT_EQ(m.answer.error, EACCES);
	check_sent_away(fd);
	check_well(&v);
	end(&v);
}

/* The challenge proves nothing to who does not know the secret, whatever the nonce. */
TEST(F5_a_challenge_differs_each_time)
{
	struct victim v = { .socket = -1 };
	struct wire_nonces a, b;

	begin(&v);
	close(introduce(&v, &a));
	close(introduce(&v, &b));
	ASSERT(memcmp(a.home, b.home, sizeof(a.home)) != 0);
	check_well(&v);
	end(&v);
}

static void check_bytes(struct victim *v, bool introduced, const void *bytes, size_t length)
{
	struct wire_nonces nonces;
	int fd = introduced ? introduce(v, &nonces) : dial(v);

	(void)!send(fd, bytes, length, MSG_NOSIGNAL);
	check_sent_away(fd);
}

/* Each kind of message at both steps, cut, too long, and with each of its head's bytes wrong. */
TEST(F5_garbage_ends_a_visit)
{
	static const size_t lengths[] = { sizeof(struct wire_knock), sizeof(struct wire_hello),
					  sizeof(struct wire_challenge),
					  sizeof(struct wire_request), sizeof(struct wire_answer) };
	static uint8_t bytes[65536];
	struct victim v = { .socket = -1 };
	struct wire_hello hello;

	begin(&v);
	for (int step = 0; step < 2; step++) {
		for (uint16_t type = 0; type < 7; type++) {
			struct wire_head head = wire_head((enum wire_type)type);

			memcpy(bytes, &head, sizeof(head));
			for (int i = 0; i < 5; i++) {
				check_bytes(&v, step, bytes, lengths[i] - 1);
				check_bytes(&v, step, bytes, lengths[i] + 1);
				if (step || i != 1 || type != WIRE_HELLO)
					check_bytes(&v, step, bytes, lengths[i]);
			}
		}
		check_bytes(&v, step, bytes, sizeof(bytes));
		check_bytes(&v, step, bytes, 0);
		check_bytes(&v, step, bytes, 1);
		for (size_t i = 0; i < sizeof(struct wire_head); i++) {
			hello = hello_to(&v);
			((uint8_t *)&hello)[i] ^= 0x80;
			check_bytes(&v, step, &hello, sizeof(hello));
		}
	}
	check_well(&v);
	end(&v);
}

/* Proven, but senseless. */
TEST(F5_a_senseless_request_is_refused)
{
	struct wire_request good = { .head = wire_head(WIRE_REQUEST),
				     .wish = WIRE_PREPARE,
				     .heap_count = 1,
				     .generation = 1,
				     .heaps = { "memfd" } };
	struct victim v = { .socket = -1 };
	struct wire_nonces nonces;
	struct wire_request bad[8];
	union wire_message m;
	int fd;

	begin(&v);
	for (int i = 0; i < 8; i++)
		bad[i] = good;
	bad[0].wish = 0;
	bad[1].wish = 99;
	bad[2].heap_count = 0;
	bad[3].heap_count = DMA_BUF_MAX_HEAPS + 1;
	bad[4].heap_count = UINT32_MAX;
	bad[5].heap_count = 2;
	memset(bad[6].heaps[0], 'x', sizeof(bad[6].heaps[0]));
	strcpy(bad[7].heaps[0], "\x1b[2J");
	for (int i = 0; i < 8; i++) {
		fd = introduce(&v, &nonces);
		wire_prove_request(bad[i].proof, &v.e.block->address, &nonces, &bad[i]);
		ASSERT_EQ(send(fd, &bad[i], sizeof(bad[i]), 0), sizeof(bad[i]));
		ASSERT_EQ(recv(fd, &m, sizeof(m), 0), sizeof(m.answer));
		ASSERT_EQ(m.answer.error, EPROTO);
		check_sent_away(fd);
	}
	check_well(&v);
	end(&v);
}

TEST(F5_descriptors_that_are_sent_to_a_home_are_closed)
{
	struct wire_hello hello;
	struct victim v = { .socket = -1 };
	struct wire_knock knock = { .head = wire_head(WIRE_KNOCK) };
	int fds[250], fd, other[2];

	begin(&v);
	for (int i = 0; i < 250; i++)
		fds[i] = STDERR_FILENO;
	hello = hello_to(&v);
	for (unsigned int count = 1; count <= 250; count += 83) {
		fd = dial(&v);
		ASSERT_OK(send_with_fds(fd, &hello, sizeof(hello), fds, count));
		check_sent_away(fd);
	}
	/* To the socket that came with the buffer: too many, no sockets, and such that listen. */
	for (int i = 0; i < 60; i++) {
		(void)send_with_fds(v.socket, &knock, sizeof(knock), fds, 1 + (unsigned int)i * 4);
		(void)send_with_fds(v.socket, &knock, i % 9, fds, 1);
		(void)!send(v.socket, &knock, sizeof(knock), MSG_NOSIGNAL);
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ASSERT_OK(send_with_fds(v.socket, &knock, sizeof(knock), &fd, 1));
	ASSERT_OK(bind(fd, (struct sockaddr *)&(struct sockaddr_un){ .sun_family = AF_UNIX },
		       sizeof(sa_family_t)));
	ASSERT_OK(listen(fd, 1));
	ASSERT_OK(send_with_fds(v.socket, &knock, sizeof(knock), &fd, 1));
	close(fd);
	socket_pair(SOCK_STREAM, other);
	ASSERT_OK(send_with_fds(v.socket, &knock, sizeof(knock), &other[0], 1));
	close(other[0]);
	close(other[1]);
	ASSERT_OK(send_with_fds(v.socket, &knock, sizeof(knock), &v.socket, 1));
	check_well(&v);
	end(&v);
}

/* Nobody says anything, and each is sent away after a while; meanwhile others are served. */
TEST(F5_the_silent_are_sent_away_and_keep_nobody_out)
{
	struct victim v = { .socket = -1 };
	struct home_storage s;
	struct wire_nonces nonces;
	int silent[300];

	begin(&v);
	for (int i = 0; i < 300; i++) {
		silent[i] = i % 2 ? dial(&v) : introduce(&v, &nonces);
		if (i % 50 == 0)
			check_storage(home_fetch(&v.e.block->address, -1, 1, MS, &s), &s, 1);
		ASSERT(count_fds(v.e.pid) <= v.fds + OFFICE_VISITORS_MOST + 2);
	}
	for (int i = 0; i < 300; i++)
		check_sent_away(silent[i]);
	check_well(&v);
	end(&v);
}

/* Another user's flood is his own matter: a visit of ours outlives it. */
TEST(F5_the_flood_of_one_user_keeps_no_other_one_out)
{
	struct wire_request request = { .head = wire_head(WIRE_REQUEST),
					.wish = WIRE_FETCH,
					.generation = 1 };
	struct victim v = { .socket = -1 };
	struct wire_nonces nonces;
	union wire_message m;
	int ours, flood[200];

	if (geteuid() != 0)
		SKIP("only root can be two users");
	begin(&v);
	ours = introduce(&v, &nonces);
	ASSERT_OK(seteuid(65534));
	for (int i = 0; i < 200; i++)
		flood[i] = dial(&v);
	ASSERT_OK(seteuid(0));
	wire_prove_request(request.proof, &v.e.block->address, &nonces, &request);
	ASSERT_EQ(send(ours, &request, sizeof(request), 0), sizeof(request));
	ASSERT_EQ(recv(ours, &m, sizeof(m), 0), sizeof(m.answer));
	ASSERT_EQ(m.answer.error, 0);
	close(ours);
	for (int i = 0; i < 200; i++)
		close(flood[i]);
	check_well(&v);
	end(&v);
}

TEST(F5_who_hangs_up_at_any_step_leaves_nothing)
{
	struct wire_request request = { .head = wire_head(WIRE_REQUEST),
					.wish = WIRE_PREPARE,
					.heap_count = 1,
					.generation = 1,
					.heaps = { "locked" } };
	struct victim v = { .socket = -1 };
	struct wire_nonces nonces;
	struct wire_hello hello;
	int fd;

	begin(&v);
	hello = hello_to(&v);
	for (int i = 0; i < 20; i++) {
		close(dial(&v));
		fd = dial(&v);
		ASSERT_EQ(send(fd, &hello, sizeof(hello), 0), sizeof(hello));
		close(fd);
		close(introduce(&v, &nonces));
		fd = introduce(&v, &nonces);
		wire_prove_request(request.proof, &v.e.block->address, &nonces, &request);
		ASSERT_EQ(send(fd, &request, sizeof(request), 0), sizeof(request));
		close(fd);
		/* Half of it. */
		fd = introduce(&v, &nonces);
		ASSERT_OK(shutdown(fd, i % 2 ? SHUT_WR : SHUT_RD));
		(void)!send(fd, &request, sizeof(request), MSG_NOSIGNAL);
		close(fd);
	}
	/* What an unheard request prepared, if it came so far, is kept, once. */
	v.fds++;
	check_well_after(&v, 1);
	end(&v);
}

/* A holder may spoil the way that came with his buffer, but not those of others, nor the next. */
TEST(F5_a_socket_that_a_holder_shuts_is_replaced)
{
	struct block *blocks[2] = { new_block(), new_block() };
	struct home *homes[2] = { open_home(blocks[0]), open_home(blocks[1]) };
	int before = open_fds(), fds[2], again;

	fds[0] = home_connect(homes[0]);
	fds[1] = home_connect(homes[1]);
	ASSERT(fds[0] >= 0 && fds[1] >= 0);
	ASSERT_OK(shutdown(fds[0], SHUT_RDWR));
	/* The other's two stay, and both copies are ours. */
	before += 4;
	ASSERT(eventually(has_fds, &before, MS));
	again = home_connect(homes[0]);
	ASSERT_OK(again);
	ASSERT(inode(again) != inode(fds[0]));
	close(again);
	close(fds[0]);
	close(fds[1]);
	home_close(homes[0]);
	home_close(homes[1]);
}

static int flood_socket(void *arg)
{
	struct wire_knock knock = { .head = wire_head(WIRE_KNOCK) };
	struct victim *v = arg;
	int ends[2];

	for (int i = 0; i < 2000; i++) {
		socket_pair(SOCK_SEQPACKET, ends);
		(void)send_with_fds(v->socket, &knock, sizeof(knock), &ends[1], 1);
		close(ends[0]);
		close(ends[1]);
	}
	close(v->socket);
	return 0;
}

TEST(F5_a_flood_of_knocks_keeps_nobody_out)
{
	struct victim v = { .socket = -1 };
	struct home_storage s;
	pid_t pid;

	begin(&v);
	pid = spawn(flood_socket, &v);
	for (int i = 0; i < 50; i++)
		check_storage(home_fetch(&v.e.block->address, i % 2 ? v.socket : -1, 1, MS, &s), &s,
			      1);
	ASSERT_EQ(reap(pid), 0);
	check_well(&v);
	end(&v);
}

/* Published values: a key of 0 to 15, and the bytes 0, 1, ... */
TEST(F5_proofs_are_siphash)
{
	static const uint8_t empty[MAC_SIZE] = { 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
						 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93 };
	static const uint8_t one[MAC_SIZE] = { 0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
					       0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45 };
	uint8_t key[MAC_SIZE], mac[MAC_SIZE];

	for (uint8_t i = 0; i < MAC_SIZE; i++)
		key[i] = i;
	mac_make(mac, key, "", 0);
	ASSERT(mac_equal(mac, empty));
	mac_make(mac, key, "", 1);
	ASSERT(mac_equal(mac, one));
	for (int i = 0; i < MAC_SIZE; i++) {
		mac[i] ^= 1;
		ASSERT(!mac_equal(mac, one));
		mac[i] ^= 1;
	}
}
