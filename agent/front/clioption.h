/* SPDX-License-Identifier: Apache-2.0 */
/* clioption.h - the options there are. Floor 6. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum cli_use {
	/* for every command */
	CLI_USE_FILE,
	CLI_USE_FOLDER,
	CLI_USE_HELP,
	CLI_USE_VERSION,
	CLI_USE_STRICT,
	CLI_USE_UNSAFE,
	/* reload, status, stop */
	CLI_USE_TIMEOUT,
	/* how check and status show */
	CLI_USE_JSON,
	CLI_USE_READY,
	CLI_USE_WATCH,
	/* one proxy or visitor */
	CLI_USE_COMMON,	 /* @path at the top */
	CLI_USE_PROXY,	 /* @path of the proxy */
	CLI_USE_VISITOR, /* @path of the visitor */
	CLI_USE_BOTH,	 /* of either */
};

enum cli_form {
	CLI_FORM_TEXT,
	CLI_FORM_SWITCH, /* alone, or "=true", "=false" */
	CLI_FORM_LIST,	 /* "a,b"; may come again */
	CLI_FORM_PAIRS,	 /* "k=v,k2=v2"; may come again */
};

struct cli_option {
	const char *name; /* with "-" between words */
	char letter;	  /* 0: none */
	enum cli_use use;
	enum cli_form form;
	const char *path;  /* in agent/conf/keys.c */
	const char *types; /* proxies that have it, " tcp udp "; NULL: all */
	bool is_secret;
};

/* The option called @name (@len bytes, "_" for "-" allowed), or with @letter. There are several of
 * a name when proxies and visitors differ: the first one from @after on (NULL: from the start). */
const struct cli_option *cli_option_find(const char *name, size_t len, char letter,
					 const struct cli_option *after);
