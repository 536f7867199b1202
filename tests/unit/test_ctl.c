/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl.c - reload, status and stop against a server that says what the test wants. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "agent/front/ctl.h"

struct world {
	struct conf *conf;
	char *out, *err; /* what was printed */
	char request[2048];
};

/* One connection is answered with @answer by a child, which tells the request on a pipe. */
static pid_t serve(int listener, const char *answer, int to)
{
	char request[2048];
	size_t len = 0;
	pid_t pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	fd = accept(listener, NULL, NULL);
	while (len < sizeof(request) - 1) {
		ssize_t n = recv(fd, request + len, sizeof(request) - 1 - len, 0);

		if (n <= 0)
			break;
		len += (size_t) n;
		request[len] = '\0';
		if (strstr(request, "\r\n\r\n") != NULL)
			break;
	}
	if (write(to, request, len) != (ssize_t) len ||
	    send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
		_exit(1);
	_exit(0);
}

static void ask(struct world *w, enum ctl_what what, const char *answer, int want)
{
	static const struct ctl_options options = { .is_strict = true, .timeout_s = 5 };
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	size_t n_out, n_err;
	FILE *out = open_memstream(&w->out, &n_out), *err = open_memstream(&w->err, &n_err);
	int listener = socket(AF_INET, SOCK_STREAM, 0), pipes[2], status;
	ssize_t n;
	pid_t pid;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *) &at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *) &at, &len), 0);
	assert_int_equal(pipe(pipes), 0);
	w->conf->web.port = ntohs(at.sin_port);
	pid = serve(listener, answer, pipes[1]);
	assert_int_equal(ctl_run(what, w->conf, &options, out, err), want);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = read(pipes[0], w->request, sizeof(w->request) - 1);
	assert_true(n > 0);
	w->request[n] = '\0';
	(void) close(pipes[0]);
	(void) close(pipes[1]);
	(void) close(listener);
	(void) fclose(out);
	(void) fclose(err);
}

static void setup(struct world *w)
{
	*w = (struct world){ .conf = conf_new() };
	assert_non_null(w->conf);
	w->conf->source = strdup("frpc.toml");
}

static void teardown(struct world *w)
{
	w->conf = conf_free(w->conf);
	free(w->out);
	free(w->err);
}

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

static void test_reload_and_stop(void **state)
{
	struct world w;

	(void) state;
	setup(&w);
	ask(&w, CTL_RELOAD, OK, 0);
	assert_string_equal(w.out, "reload success\n");
	assert_string_equal(w.err, "");
	assert_non_null(strstr(w.request, "GET /api/reload?strictConfig=true HTTP/1.0\r\n"));
	assert_null(strstr(w.request, "Authorization"));
	teardown(&w);
	setup(&w);
	w.conf->web.user = strdup("admin");
	w.conf->web.password = strdup("secret");
	ask(&w, CTL_STOP, OK, 0);
	assert_string_equal(w.out, "stop success\n");
	assert_non_null(strstr(w.request, "POST /api/stop HTTP/1.0\r\n"));
	assert_non_null(strstr(w.request, "Authorization: Basic YWRtaW46c2VjcmV0\r\n"));
	teardown(&w);
}

static void test_status_is_a_table_for_each_type(void **state)
{
	static const char answer[] = OK
		"{\"udp\":[{\"name\":\"dns\",\"type\":\"udp\",\"status\":\"wait start\",\"err\":\"\","
		"\"local_addr\":\"127.0.0.1:53\",\"plugin\":\"\",\"remote_addr\":\"\"}],"
		"\"tcp\":[{\"name\":\"a longer name\",\"type\":\"tcp\",\"status\":\"running\",\"err\":\"\","
		"\"local_addr\":\"127.0.0.1:80\",\"plugin\":\"\",\"remote_addr\":\"1.2.3.4:6000\"},"
		"{\"name\":\"b\",\"type\":\"tcp\",\"status\":\"start error\",\"err\":\"port \\u001b[31mtaken\","
		"\"local_addr\":\"127.0.0.1:81\",\"plugin\":\"\",\"remote_addr\":\"\"}]}";
	struct world w;

	(void) state;
	setup(&w);
	ask(&w, CTL_STATUS, answer, 0);
	assert_string_equal(
		w.out,
		"Proxy Status...\n\n"
		"TCP\n"
		"Name           Status       LocalAddr     Plugin  RemoteAddr    Error               \n"
		"a longer name  running      127.0.0.1:80          1.2.3.4:6000                      \n"
		"b              start error  127.0.0.1:81                        port \\x1b[31mtaken  \n"
		"\n"
		"UDP\n"
		"Name  Status      LocalAddr     Plugin  RemoteAddr  Error  \n"
		"dns   wait start  127.0.0.1:53                             \n"
		"\n");
	teardown(&w);
}

static const struct {
	const char *answer, *want;
} failures[] = {
	{ "HTTP/1.1 400 Bad Request\r\n\r\nfrpc.toml:3:1: what\n",
	  "reload failed (400)\nfrpc.toml:3:1: what\n" },
	{ "HTTP/1.1 401 Unauthorized\r\n\r\nno\n", "user or password is wrong" },
	{ "SSH-2.0-OpenSSH_9.2\r\n", "no admin API" },
	{ "HTTP/1.1 abc\r\n\r\n", "no admin API" },
	{ "HTTP/1.1 200 OK\r\n", "no admin API" },
};

static void test_what_went_wrong_is_told(void **state)
{
	struct world w;

	(void) state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		setup(&w);
		ask(&w, CTL_RELOAD, failures[i].answer, CTL_E_FAILED);
		assert_string_equal(w.out, "");
		if (strstr(w.err, failures[i].want) == NULL)
			fail_msg("%zu: %s", i, w.err);
		teardown(&w);
	}
	setup(&w);
	ask(&w, CTL_STATUS, OK "[]", CTL_E_FAILED);
	assert_non_null(strstr(w.err, "no admin API"));
	teardown(&w);
}

static void test_nobody_to_ask(void **state)
{
	static const struct ctl_options options = { .timeout_s = 1 };
	struct world w;
	size_t n;
	FILE *err;

	(void) state;
	setup(&w);
	err = open_memstream(&w.err, &n);
	assert_int_equal(ctl_run(CTL_STATUS, w.conf, &options, stdout, err), CTL_E_FAILED);
	(void) fflush(err);
	assert_non_null(strstr(w.err, "webServer.port is not set in frpc.toml"));
	w.conf->all_or_none = true; /* there is no file that could be changed */
	assert_int_equal(ctl_run(CTL_STOP, w.conf, &options, stdout, err), CTL_E_FAILED);
	(void) fflush(err);
	assert_non_null(strstr(w.err, "stop: MLTUNNEL_ADMIN is not set in the environment"));
	w.conf->web.port = 1;
	assert_int_equal(ctl_run(CTL_STATUS, w.conf, &options, stdout, err), CTL_E_FAILED);
	(void) fclose(err);
	assert_non_null(strstr(w.err, "does the agent run?"));
	teardown(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reload_and_stop),
		cmocka_unit_test(test_status_is_a_table_for_each_type),
		cmocka_unit_test(test_what_went_wrong_is_told),
		cmocka_unit_test(test_nobody_to_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
