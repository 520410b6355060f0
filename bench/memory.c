// SPDX-License-Identifier: MIT
/*
 * What a buffer costs beyond its payload: 1,000 of them, held and mapped by two processes, every
 * payload page used. Each round has processes of its own, as a heap does not give back what it got.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "holding.h"

#define BUFFERS 1000
#define PAYLOAD 65536
#define ROUNDS 15
#define MAX_ROUNDS 100

/* Of one process. */
enum figure { ANONYMOUS, PAGE_TABLES, DESCRIPTORS, MAPPINGS, FIGURES };

static const char *const figure_names[FIGURES] = { "anonymous", "page_tables", "descriptors",
						   "mappings" };

struct figures {
	double of[FIGURES];
};

static int kept = ROUNDS;

/* What both processes report, and the shared memory behind a buffer. */
struct round {
	struct figures owner;
	struct figures peer;
	double shared;
};

static double field_kib(const char *path, const char *field)
{
	FILE *f = fopen(path, "re");
	char line[256];
	double kib = -1;

	bench_check(f != NULL, path);
	while (kib < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kib = strtod(line + strlen(field), NULL);
	fclose(f);
	errno = ENODATA;
	bench_check(kib >= 0, field);
	return kib;
}

static double count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	double count = 0;
	int c;

	bench_check(f != NULL, "/proc/self/maps");
	while ((c = getc(f)) != EOF)
		count += c == '\n';
	fclose(f);
	return count;
}

static double count_descriptors(void)
{
	double count = 0;
	int fd;

	for (fd = 0; fd < 8 * BUFFERS; fd++)
		count += holding_is_open(fd);
	return count;
}

static void look(struct figures *f)
{
	f->of[ANONYMOUS] = 1024 * field_kib("/proc/self/smaps_rollup", "Anonymous:");
	f->of[PAGE_TABLES] = 1024 * field_kib("/proc/self/status", "VmPTE:");
	f->of[DESCRIPTORS] = count_descriptors();
	f->of[MAPPINGS] = count_mappings();
}

static void subtract(struct figures *after, const struct figures *before)
{
	int i;

	for (i = 0; i < FIGURES; i++)
		after->of[i] = (after->of[i] - before->of[i]) / BUFFERS;
}

/* One process's half of a round: hold them all, say what that took, leave when told. */
static void hold(const struct holding_kind *kind, int socket, int result, int owner)
{
	struct figures before, after;
	double shared = 0;
	char go;
	int i;

	kind->prepare(BUFFERS);
	look(&before);
	for (i = 0; i < BUFFERS; i++)
		if (owner)
			kind->make(i, PAYLOAD, socket);
		else
			kind->take(i, socket);
	look(&after);
	subtract(&after, &before);
	for (i = 0; owner && i < BUFFERS; i++)
		shared += kind->resident(i) - PAYLOAD;
	shared /= BUFFERS;
	bench_write(result, &after, sizeof(after));
	bench_write(result, &shared, sizeof(shared));
	bench_read(result, &go, 1);
	_exit(0);
}

static pid_t start(const struct holding_kind *kind, int socket, int other, int owner, int *result)
{
	int pair[2];
	pid_t pid;

	bench_check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	pid = fork();
	bench_check(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(other);
		close(pair[0]);
		hold(kind, socket, pair[1], owner);
	}
	close(pair[1]);
	*result = pair[0];
	return pid;
}

static void end(pid_t pid, int result)
{
	char go = 0;
	int status;

	bench_write(result, &go, 1);
	bench_check(waitpid(pid, &status, 0) == pid, "waitpid");
	close(result);
}

static void run_round(const struct holding_kind *kind, struct round *r)
{
	int buffers[2], owner_result, peer_result;
	double ignored;
	pid_t owner, peer;

	bench_check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, buffers), "socketpair");
	owner = start(kind, buffers[0], buffers[1], 1, &owner_result);
	peer = start(kind, buffers[1], buffers[0], 0, &peer_result);
	close(buffers[0]);
	close(buffers[1]);
	bench_read(owner_result, &r->owner, sizeof(r->owner));
	bench_read(owner_result, &r->shared, sizeof(r->shared));
	bench_read(peer_result, &r->peer, sizeof(r->peer));
	bench_read(peer_result, &ignored, sizeof(ignored));
	end(owner, owner_result);
	end(peer, peer_result);
}

/* Of the rounds after the first one, which is the warm-up. */
static struct json_object *series(const struct round *rounds, size_t offset)
{
	double samples[MAX_ROUNDS];
	int i;

	for (i = 0; i < kept; i++)
		memcpy(&samples[i], (const char *)&rounds[i + 1] + offset, sizeof(double));
	return bench_statistics(samples, (size_t)kept);
}

static struct json_object *report(const struct holding_kind *kind, const struct round *rounds)
{
	struct json_object *o = json_object_new_object(), *owner, *peer;
	int i;

	owner = json_object_new_object();
	peer = json_object_new_object();
	bench_check(o && owner && peer, "allocation");
	for (i = 0; i < FIGURES; i++) {
		size_t at = (size_t)i * sizeof(double);

		json_object_object_add(owner, figure_names[i],
				       series(rounds, offsetof(struct round, owner) + at));
		json_object_object_add(peer, figure_names[i],
				       series(rounds, offsetof(struct round, peer) + at));
	}
	json_object_object_add(o, "name", json_object_new_string(kind->name));
	json_object_object_add(o, "owner", owner);
	json_object_object_add(o, "peer", peer);
	json_object_object_add(o, "shared", series(rounds, offsetof(struct round, shared)));
	return o;
}

static void allow_descriptors(void)
{
	struct rlimit limit;

	bench_check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	bench_check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
	errno = EMFILE;
	bench_check(limit.rlim_cur >= 4ul * BUFFERS, "getting enough descriptors");
}

static void report_all(const struct holding_kind *const *kinds,
		       struct round (*rounds)[MAX_ROUNDS + 1])
{
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();
	int k;

	bench_check(root && list, "allocation");
	for (k = 0; k < 2; k++)
		json_object_array_add(list, report(kinds[k], rounds[k]));
	json_object_object_add(root, "subject", json_object_new_string("memory"));
	json_object_object_add(root, "rounds", json_object_new_int(kept));
	json_object_object_add(root, "buffers", json_object_new_int(BUFFERS));
	json_object_object_add(root, "payload", json_object_new_int(PAYLOAD));
	json_object_object_add(root, "cases", list);
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN));
	json_object_put(root);
}

int main(int argc, char **argv)
{
	static const struct holding_kind *const kinds[] = { &holding_memfd, &holding_dmabuf };
	static struct round rounds[2][MAX_ROUNDS + 1];
	int i, k;

	kept = (int)bench_rounds(argc, argv, "memory", (size_t)kept, MAX_ROUNDS);
	allow_descriptors();
	for (i = 0; i <= kept; i++)
		for (k = 0; k < 2; k++)
			run_round(kinds[k], &rounds[k][i]);
	report_all(kinds, rounds);
	return 0;
}
