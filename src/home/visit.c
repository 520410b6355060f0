// SPDX-License-Identifier: MIT
/*
 * One visitor: hello, challenge, request, answer, within a deadline, and gone. Whatever is not
 * right ends the visit at once. All of it in the worker's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "home/homes.h"

#define VISIT_NS (2 * UINT64_C(1000000000))
/* So long nobody has to leave for another one of the same user. */
#define VISIT_SAFE_NS 100000000u
/* Knocks at a door taken at a time. */
#define KNOCKS 16

bool visit_take(struct visit *visit)
{
	if (list_empty(&visit->link))
		return false;
	list_remove(&visit->link);
	if (!visit->home)
		visit->office->visit_count--;
	return true;
}

void visit_end(struct visit *visit)
{
	worker_unwatch(&visit->watch);
	worker_timer_stop(&visit->timer);
	if (visit->fd >= 0)
		talk_hang_up(visit->fd);
	free(visit);
}

static bool take(struct visit *visit)
{
	bool taken;

	homes_lock();
	taken = visit_take(visit);
	homes_unlock();
	return taken;
}

static void leave(struct visit *visit)
{
	if (take(visit))
		visit_end(visit);
}

static void refuse(struct visit *visit, int error, const char *words)
{
	job_answer(visit->fd, -error, NULL, NULL, words);
	leave(visit);
}

static void challenge(struct visit *visit, const struct wire_hello *hello)
{
	struct wire_challenge m = { .head = wire_head(WIRE_CHALLENGE) };
	struct home *home = homes_get(hello->name);

	if (!home) {
		refuse(visit, EOWNERDEAD, "the exporter has let the buffer go");
		return;
	}
	visit->address = home->address;
	homes_put(home);
	memcpy(visit->nonces.visitor, hello->nonce, sizeof(hello->nonce));
	if (getrandom(m.nonce, sizeof(m.nonce), 0) != sizeof(m.nonce)) {
		leave(visit);
		return;
	}
	memcpy(visit->nonces.home, m.nonce, sizeof(m.nonce));
	wire_prove_home(m.proof, &visit->address, &visit->nonces);
	visit->state = VISIT_REQUEST;
	if (talk_send(visit->fd, &m, sizeof(m), -1) < 0)
		leave(visit);
}

static void fetch(struct visit *visit, struct home *home, uint64_t generation)
{
	struct home_storage storage;
	int fd = storages_fetch(home, generation, &storage);

	job_answer(visit->fd, fd, &storage, NULL, dmabuf_last_error());
	if (fd >= 0)
		close(fd);
	homes_put(home);
	leave(visit);
}

/* The visitor's socket goes to a thread that may wait. */
static void hand_over(struct visit *visit, struct home *home, const struct wire_request *request)
{
	int fd = visit->fd;

	if (!take(visit)) {
		homes_put(home);
		return;
	}
	worker_unwatch(&visit->watch);
	visit->fd = -1;
	job_begin(home, fd, request);
	visit_end(visit);
}

static void serve(struct visit *visit, const struct wire_request *request)
{
	struct home *home = homes_get(visit->address.name);

	if (!home)
		refuse(visit, EOWNERDEAD, "the exporter has let the buffer go");
	else if (request->wish == WIRE_FETCH)
		fetch(visit, home, request->generation);
	else
		hand_over(visit, home, request);
}

static void take_request(struct visit *visit, const struct wire_request *request)
{
	uint8_t proof[MAC_SIZE];
	const char *wrong;

	wire_prove_request(proof, &visit->address, &visit->nonces, request);
	if (!mac_equal(proof, request->proof)) {
		refuse(visit, EACCES, "the secret is wrong");
		return;
	}
	wrong = wire_check_request(request);
	if (wrong)
		refuse(visit, EPROTO, wrong);
	else
		serve(visit, request);
}

static void visitor_speaks(struct worker_watch *watch, uint32_t events)
{
	struct visit *visit = container_of(watch, struct visit, watch);
	union wire_message m;
	int got = talk_receive(visit->fd, &m, NULL);

	if (got == -EAGAIN && !(events & (EPOLLHUP | EPOLLERR)))
		return;
	if (got > 0 && visit->state == VISIT_HELLO && wire_is(&m, (size_t)got, WIRE_HELLO))
		challenge(visit, &m.hello);
	else if (got > 0 && visit->state == VISIT_REQUEST && wire_is(&m, (size_t)got, WIRE_REQUEST))
		take_request(visit, &m.request);
	else
		leave(visit);
}

static void visit_is_over(struct worker_timer *timer)
{
	leave(container_of(timer, struct visit, timer));
}

static unsigned int count_of(const struct office *o, uid_t user)
{
	unsigned int count = 0;

	for (struct dmabuf_list *at = o->visits.next; at != &o->visits; at = at->next)
		count += container_of(at, struct visit, link)->user == user;
	return count;
}

/* Of the user who has most of them, so that a flood only keeps its own users out: the first. */
static struct visit *choose_to_leave(struct office *o)
{
	unsigned int most = 0, count;
	struct visit *visit, *chosen = NULL;

	for (struct dmabuf_list *at = o->visits.next; at != &o->visits; at = at->next) {
		visit = container_of(at, struct visit, link);
		if (chosen && visit->user == chosen->user)
			continue;
		count = count_of(o, visit->user);
		if (count <= most)
			continue;
		most = count;
		chosen = visit;
	}
	return chosen;
}

/*
 * With the lock held and no room: who has to leave for @visit. NULL: nobody, as all are of the same
 * user and have not had much time.
 */
static struct visit *make_room(struct office *o, const struct visit *visit)
{
	struct visit *leaves = choose_to_leave(o);

	if (leaves->user == visit->user && visit->since - leaves->since < VISIT_SAFE_NS &&
	    o->visit_count < OFFICE_VISITORS_MOST)
		return NULL;
	visit_take(leaves);
	return leaves;
}

/* Whoever had to leave for it is the caller's to end. */
static struct visit *enter(struct office *o, struct visit *visit, bool *entered, bool *room)
{
	struct visit *leaves = NULL;

	homes_lock();
	*entered = !o->closing;
	if (*entered && o->visit_count >= OFFICE_VISITORS) {
		leaves = make_room(o, visit);
		*room = leaves != NULL;
	}
	if (*entered) {
		list_add_before(&visit->link, &o->visits);
		o->visit_count++;
	}
	homes_unlock();
	return leaves;
}

static uid_t user_of(int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t length = sizeof(peer);

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	return peer.uid;
}

bool visit_begin(struct office *o, int fd)
{
	struct visit *visit = calloc(1, sizeof(*visit)), *leaves;
	bool entered, room = true;

	if (!visit) {
		close(fd);
		return true;
	}
	list_init(&visit->link);
	visit->office = o;
	visit->fd = fd;
	visit->user = user_of(fd);
	visit->since = clock_ns();
	visit->state = VISIT_HELLO;
	leaves = enter(o, visit, &entered, &room);
	if (leaves)
		visit_end(leaves);
	if (!entered)
		visit_end(visit);
	else if (worker_timer_start(&visit->timer, visit->since + VISIT_NS, visit_is_over) < 0 ||
		 worker_watch_fd(&visit->watch, fd, EPOLLIN, visitor_speaks) < 0)
		leave(visit);
	return room;
}

/* Somebody shut it: the next home_connect() makes another. */
static void shut(struct visit *door)
{
	int fd = -1;
	bool taken;

	homes_lock();
	taken = visit_take(door);
	if (taken) {
		fd = door->home->travel_fd;
		door->home->travel_fd = -1;
		door->home->door = NULL;
	}
	homes_unlock();
	if (fd >= 0)
		close(fd);
	if (taken)
		visit_end(door);
}

static void somebody_knocks(struct worker_watch *watch, uint32_t events)
{
	struct visit *door = container_of(watch, struct visit, watch);
	union wire_message m;
	int got, fd;

	for (int i = 0; i < KNOCKS; i++) {
		got = talk_receive(door->fd, &m, &fd);
		if (got == -EAGAIN)
			return;
		if (got == 0 && fd < 0 && events & (EPOLLHUP | EPOLLRDHUP)) {
			shut(door);
			return;
		}
		if (got < 0 || fd < 0)
			continue;
		if (wire_is(&m, (size_t)got, WIRE_KNOCK) && talk_is_socket(fd))
			(void)visit_begin(door->office, fd);
		else
			close(fd);
	}
}

int visit_open_door(struct visit *door)
{
	int err = worker_watch_fd(&door->watch, door->fd, EPOLLIN | EPOLLRDHUP, somebody_knocks);

	if (err)
		shut(door);
	return err;
}
