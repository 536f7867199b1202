/* SPDX-License-Identifier: Apache-2.0 */
/* test_schedules.c - random schedules, many of them.
 *
 *   test_schedules [FIRST COUNT]   run the seeds FIRST .. FIRST + COUNT - 1
 *   test_schedules -v SEED         run one and print each event
 *
 * The same seed is the same run, in each build. One that fails prints its seed and the command line
 * that replays it. A count of FAULTS_BY seeds or more has to meet each kind of fault. */
#include "tests/sim/schedule.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/text.h"

#define COUNT 2000
#define FAULTS_BY 2000
#define AGAIN_EACH 500 /* one in so many runs twice */
#define EVENTS_MEDIAN 200
#define STUCK_S 60 /* a run takes milliseconds */

static struct schedule_facts total;
static const char *program;
static volatile uint64_t seed_now;

static uint64_t argument(const char *text)
{
	uint64_t v;

	if (text_parse_u64(text, 0, UINT64_MAX, &v) != 0) {
		(void) fprintf(stderr, "usage: test_schedules [FIRST COUNT | -v SEED]\n");
		exit(2);
	}
	return v;
}

/* Whatever ends a run (a promise, a MUST, a sanitizer, a loop without end): say how to see it
 * again. */
static void on_failure(int number)
{
	(void) signal(number, SIG_DFL);
	(void) fprintf(stderr, "seed %llu fails; replay: %s -v %llu\n",
		       (unsigned long long) seed_now, program, (unsigned long long) seed_now);
	(void) raise(number);
}

static void watch(void)
{
	static const int numbers[] = { SIGABRT, SIGSEGV, SIGALRM };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void) signal(numbers[i], on_failure);
}

static void run(uint64_t seed, bool is_told, struct schedule_facts *ret_f)
{
	seed_now = seed;
	(void) alarm(STUCK_S);
	schedule_run(seed, is_told, ret_f);
	(void) alarm(0);
}

static void add(const struct schedule_facts *f)
{
	total.digest = total.digest * 31 + f->digest;
	total.n_events += f->n_events;
	total.n_users += f->n_users;
	total.n_whole += f->n_whole;
	total.n_tries += f->n_tries;
	total.n_logins += f->n_logins;
	for (size_t i = 0; i < N_FAULTS; i++)
		total.hits[i] += f->hits[i];
	for (size_t i = 0; i < AGENT_N_CAUSES; i++)
		total.deaths[i] += f->deaths[i];
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

/* The value that @permille of the @n have at most. */
static unsigned long long quantile(const uint64_t *sorted, size_t n, size_t permille)
{
	return sorted[(n - 1) * permille / 1000];
}

static void report(uint64_t first, size_t n, uint64_t *events, uint64_t *back_ms)
{
	qsort(events, n, sizeof(*events), by_size);
	qsort(back_ms, n, sizeof(*back_ms), by_size);
	(void) printf("# seeds %llu..%llu, digest %016llx\n", (unsigned long long) first,
		      (unsigned long long) (first + n - 1), (unsigned long long) total.digest);
	(void) printf("# events: %zu, median %llu, least %llu, most %llu\n", total.n_events,
		      quantile(events, n, 500), quantile(events, n, 0), quantile(events, n, 1000));
	(void) printf("# tries: %zu, logins: %zu, users: %zu, of them served whole: %zu\n",
		      total.n_tries, total.n_logins, total.n_users, total.n_whole);
	(void) printf(
		"# all up after the last fault: median %llu ms, 99 %% %llu ms, worst %llu ms\n",
		quantile(back_ms, n, 500), quantile(back_ms, n, 990), quantile(back_ms, n, 1000));
	for (size_t i = 0; i < N_FAULTS; i++)
		(void) printf("# fault: %8zu %s\n", total.hits[i], fault_text((enum fault) i));
	for (size_t i = CLIENT_CAUSE_SERVER_CLOSED; i < AGENT_N_CAUSES; i++)
		(void) printf("# ended: %8zu %s\n", total.deaths[i],
			      client_cause_name((enum client_cause) i));
}

static int tell(int number, const char *what, bool is_good)
{
	(void) printf("%sok %d %s\n", is_good ? "" : "not ", number, what);
	return is_good ? 0 : 1;
}

static bool has_all_faults(void)
{
	for (size_t i = 0; i < N_FAULTS; i++)
		if (total.hits[i] == 0)
			return false;
	return true;
}

static int run_many(uint64_t first, size_t n)
{
	uint64_t *events = calloc(n, sizeof(*events)), *back_ms = calloc(n, sizeof(*back_ms));
	bool is_same = true;
	int n_bad = 0;

	if (events == NULL || back_ms == NULL)
		return 2;
	for (size_t i = 0; i < n; i++) {
		struct schedule_facts f, again;

		run(first + i, /* is_told= */ false, &f);
		add(&f);
		events[i] = f.n_events;
		back_ms[i] = f.back_ms;
		if ((first + i) % AGAIN_EACH != 0)
			continue;
		run(first + i, /* is_told= */ false, &again);
		is_same = is_same && again.digest == f.digest;
	}
	(void) printf("TAP version 13\n1..4\n");
	report(first, n, events, back_ms);
	n_bad += tell(1, "random_schedules_keep_all_promises", true);
	n_bad += tell(2, "the_same_seed_is_the_same_run", is_same);
	n_bad += tell(3, "median_of_events", quantile(events, n, 500) >= EVENTS_MEDIAN);
	n_bad += tell(4, "each_kind_of_fault_was_met", n < FAULTS_BY || has_all_faults());
	free(events);
	free(back_ms);
	return n_bad > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct schedule_facts f;

	program = argv[0];
	watch();
	if (argc == 3 && strcmp(argv[1], "-v") == 0) {
		run(argument(argv[2]), /* is_told= */ true, &f);
		return 0;
	}
	if (argc != 1 && argc != 3)
		(void) argument("");
	return run_many(argc == 3 ? argument(argv[1]) : 1, argc == 3 ? argument(argv[2]) : COUNT);
}
