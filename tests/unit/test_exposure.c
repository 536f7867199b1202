/* SPDX-License-Identifier: Apache-2.0 */
/* test_exposure.c - which lines of the kernel's tables and which variables count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/front/exposure.h"

#define REST " 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100\n"
#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"

static int port_of(const char *line)
{
	uint16_t port;

	return exposure_read_line(line, &port) ? port : -1;
}

static void test_lines(void **state)
{
	(void) state;
	assert_int_equal(port_of("   0: 00000000:1F90" REST), 8080);
	assert_int_equal(port_of("   1: 0500000A:1388" REST), 5000); /* 10.0.0.5 */
	assert_int_equal(port_of("  12: 0100007F:1F90" REST), -1);
	assert_int_equal(port_of("  12: 3500007F:0035" REST), -1); /* 127.0.0.53 */
	assert_int_equal(port_of(" 100: 00000000000000000000000000000000:1F90" REST), 8080);
	assert_int_equal(port_of("   0: 00000000000000000000000001000000:1F90" REST), -1);
	assert_int_equal(port_of("   0: 0000000000000000FFFF00000100007F:1F90" REST), -1);
	assert_int_equal(port_of("   0: 0000000000000000FFFF00000500000A:1F90" REST), 8080);
	/* established, not listening */
	assert_int_equal(port_of("   0: 00000000:1F90 0100007F:0001 01 00000000:00000000"), -1);
}

static void test_no_line_is_read_beyond_its_end(void **state)
{
	static const char line[] = "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000";
	char *part;

	(void) state;
	assert_int_equal(port_of(HEAD), -1);
	for (size_t n = 0; n < sizeof(line); n++) {
		part = strndup(line, n); /* a sanitizer sees what is read behind it */
		assert_non_null(part);
		assert_int_equal(port_of(part),
				 n >= strlen("   0: 00000000:1F90 00000000:0000 0A") ? 8080 : -1);
		free(part);
	}
}

static void test_which_ports_count(void **state)
{
	const uint16_t more[] = { 5050, 8081 };

	(void) state;
	assert_true(exposure_counts(8080, NULL, 0));
	assert_true(exposure_counts(5000, NULL, 0));
	assert_true(exposure_counts(5099, NULL, 0));
	assert_false(exposure_counts(4999, NULL, 0));
	assert_false(exposure_counts(5100, NULL, 0));
	assert_false(exposure_counts(8081, NULL, 0));
	assert_true(exposure_counts(8081, more, 2));
	assert_false(exposure_counts(22, more, 2));
}

static void test_together(void **state)
{
	char path[] = "/tmp/mltunnel-exposure-XXXXXX";
	const char *tables[] = { "/no/such/table", path, NULL };
	char *envp[] = { (char[]){ "PATH=/bin" },
			 (char[]){ "VAST_TCP_PORT_5001=40001" },
			 (char[]){ "RUNPOD_TCP_PORT_8080=40002" },
			 (char[]){ "VAST_TCP_PORT_22=40003" },
			 (char[]){ "VAST_TCP_PORT_=40004" },
			 (char[]){ "VAST_TCP_PORT_123456=40005" },
			 (char[]){ "VAST_TCP_PORT_x=40006" },
			 NULL };
	const uint16_t more[] = { 9000 };
	struct exposure e[EXPOSURE_MAX];
	FILE *f = fdopen(mkstemp(path), "w");

	(void) state;
	assert_non_null(f);
	(void) fputs(HEAD "   0: 00000000:1F90" REST "   1: 00000000:2328" REST
			  "   2: 00000000:0016" REST,
		     f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(exposure_find(tables, envp, more, 1, e), 3);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(e[0].port, 5001);
	assert_false(e[0].is_open);
	assert_string_equal(e[0].public_port, "40001");
	assert_int_equal(e[0].published_len, strlen("VAST_TCP_PORT_5001"));
	assert_int_equal(e[1].port, 8080);
	assert_true(e[1].is_open);
	assert_string_equal(e[1].public_port, "40002");
	assert_int_equal(e[2].port, 9000);
	assert_true(e[2].is_open);
	assert_null(e[2].published);
}

static void test_more_than_there_is_room_for(void **state)
{
	char path[] = "/tmp/mltunnel-exposure-XXXXXX";
	const char *tables[] = { path, NULL };
	char *envp[] = { NULL };
	uint16_t more[EXPOSURE_MAX + 20];
	struct exposure e[EXPOSURE_MAX];
	FILE *f = fdopen(mkstemp(path), "w");

	(void) state;
	assert_non_null(f);
	for (size_t i = 0; i < EXPOSURE_MAX + 20; i++) {
		more[i] = (uint16_t) (20000 + i);
		(void) fprintf(f, "   0: 00000000:%04X" REST, 20000 + (unsigned) i);
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(exposure_find(tables, envp, more, EXPOSURE_MAX + 20, e), EXPOSURE_MAX);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_no_line_is_read_beyond_its_end),
		cmocka_unit_test(test_which_ports_count),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
