/* SPDX-License-Identifier: Apache-2.0 */
/* clioption.c - the options there are (frp pkg/config/flags.go). Floor 6. */
#include "agent/front/clioption.h"

#include <string.h>

#define PORTS " tcp udp "
#define DOMAINS " http https tcpmux "
#define HTTP " http "
#define TCPMUX " tcpmux "
#define LOGINS " http tcpmux "
#define SECRETS " stcp sudp "

/* clang-format off */
static const struct cli_option options[] = {
	{ "config",	      'c', CLI_USE_FILE,    CLI_FORM_TEXT,   NULL, NULL, false },
	{ "config-dir",	      0,   CLI_USE_FOLDER,  CLI_FORM_TEXT,   NULL, NULL, false },
	{ "help",	      'h', CLI_USE_HELP,    CLI_FORM_SWITCH, NULL, NULL, false },
	{ "version",	      'v', CLI_USE_VERSION, CLI_FORM_SWITCH, NULL, NULL, false },
	{ "strict-config",    0,   CLI_USE_STRICT,  CLI_FORM_SWITCH, NULL, NULL, false },
	{ "allow-unsafe",     0,   CLI_USE_UNSAFE,  CLI_FORM_LIST,   NULL, NULL, false },

	{ "api-timeout",      0,   CLI_USE_TIMEOUT, CLI_FORM_TEXT,   NULL, NULL, false },

	{ "json",	      0,   CLI_USE_JSON,    CLI_FORM_SWITCH, NULL, NULL, false },
	{ "ready",	      0,   CLI_USE_READY,   CLI_FORM_SWITCH, NULL, NULL, false },
	{ "watch",	      0,   CLI_USE_WATCH,   CLI_FORM_SWITCH, NULL, NULL, false },

	{ "server-addr",      's', CLI_USE_COMMON,  CLI_FORM_TEXT,   "serverAddr", NULL, false },
	{ "server-port",      'P', CLI_USE_COMMON,  CLI_FORM_TEXT,   "serverPort", NULL, false },
	{ "protocol",	      'p', CLI_USE_COMMON,  CLI_FORM_TEXT,   "transport.protocol", NULL, false },
	{ "user",	      'u', CLI_USE_COMMON,  CLI_FORM_TEXT,   "user", NULL, false },
	{ "client-id",	      0,   CLI_USE_COMMON,  CLI_FORM_TEXT,   "clientID", NULL, false },
	{ "token",	      't', CLI_USE_COMMON,  CLI_FORM_TEXT,   "auth.token", NULL, true },
	{ "log-level",	      0,   CLI_USE_COMMON,  CLI_FORM_TEXT,   "log.level", NULL, false },
	{ "log-file",	      0,   CLI_USE_COMMON,  CLI_FORM_TEXT,   "log.to", NULL, false },
	{ "log-max-days",     0,   CLI_USE_COMMON,  CLI_FORM_TEXT,   "log.maxDays", NULL, false },
	{ "disable-log-color", 0,  CLI_USE_COMMON,  CLI_FORM_SWITCH, "log.disablePrintColor", NULL, false },
	{ "tls-enable",	      0,   CLI_USE_COMMON,  CLI_FORM_SWITCH, "transport.tls.enable", NULL, false },
	{ "tls-server-name",  0,   CLI_USE_COMMON,  CLI_FORM_TEXT,   "transport.tls.serverName", NULL, false },
	{ "dns-server",	      0,   CLI_USE_COMMON,  CLI_FORM_TEXT,   "dnsServer", NULL, false },

	{ "ue",		      0,   CLI_USE_BOTH,    CLI_FORM_SWITCH, "transport.useEncryption", NULL, false },
	{ "uc",		      0,   CLI_USE_BOTH,    CLI_FORM_SWITCH, "transport.useCompression", NULL, false },
	{ "proxy-name",	      'n', CLI_USE_PROXY,   CLI_FORM_TEXT,   "name", NULL, false },
	{ "metadatas",	      0,   CLI_USE_PROXY,   CLI_FORM_PAIRS,  "metadatas", NULL, false },
	{ "annotations",      0,   CLI_USE_PROXY,   CLI_FORM_PAIRS,  "annotations", NULL, false },
	{ "local-ip",	      'i', CLI_USE_PROXY,   CLI_FORM_TEXT,   "localIP", NULL, false },
	{ "local-port",	      'l', CLI_USE_PROXY,   CLI_FORM_TEXT,   "localPort", NULL, false },
	{ "bandwidth-limit",  0,   CLI_USE_PROXY,   CLI_FORM_TEXT,   "transport.bandwidthLimit", NULL, false },
	{ "bandwidth-limit-mode", 0, CLI_USE_PROXY, CLI_FORM_TEXT,   "transport.bandwidthLimitMode", NULL, false },
	{ "remote-port",      'r', CLI_USE_PROXY,   CLI_FORM_TEXT,   "remotePort", PORTS, false },
	{ "custom-domain",    'd', CLI_USE_PROXY,   CLI_FORM_LIST,   "customDomains", DOMAINS, false },
	{ "sd",		      0,   CLI_USE_PROXY,   CLI_FORM_TEXT,   "subdomain", DOMAINS, false },
	{ "locations",	      0,   CLI_USE_PROXY,   CLI_FORM_LIST,   "locations", HTTP, false },
	{ "http-user",	      0,   CLI_USE_PROXY,   CLI_FORM_TEXT,   "httpUser", LOGINS, false },
	{ "http-pwd",	      0,   CLI_USE_PROXY,   CLI_FORM_TEXT,   "httpPassword", LOGINS, true },
	{ "host-header-rewrite", 0, CLI_USE_PROXY,  CLI_FORM_TEXT,   "hostHeaderRewrite", HTTP, false },
	{ "mux",	      0,   CLI_USE_PROXY,   CLI_FORM_TEXT,   "multiplexer", TCPMUX, false },
	{ "sk",		      0,   CLI_USE_BOTH,    CLI_FORM_TEXT,   "secretKey", SECRETS, true },
	{ "allow-users",      0,   CLI_USE_PROXY,   CLI_FORM_LIST,   "allowUsers", SECRETS, false },

	{ "visitor-name",     'n', CLI_USE_VISITOR, CLI_FORM_TEXT,   "name", NULL, false },
	{ "server-name",      0,   CLI_USE_VISITOR, CLI_FORM_TEXT,   "serverName", NULL, false },
	{ "server-user",      0,   CLI_USE_VISITOR, CLI_FORM_TEXT,   "serverUser", NULL, false },
	{ "bind-addr",	      0,   CLI_USE_VISITOR, CLI_FORM_TEXT,   "bindAddr", NULL, false },
	{ "bind-port",	      0,   CLI_USE_VISITOR, CLI_FORM_TEXT,   "bindPort", NULL, false },
};
/* clang-format on */

static bool is_name(const char *mine, const char *name, size_t len)
{
	if (strlen(mine) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (mine[i] != (name[i] == '_' ? '-' : name[i]))
			return false;
	return true;
}

const struct cli_option *cli_option_find(const char *name, size_t len, char letter,
					 const struct cli_option *after)
{
	size_t i = after != NULL ? (size_t) (after - options) + 1 : 0;

	for (; i < sizeof(options) / sizeof(options[0]); i++)
		if (name != NULL ? is_name(options[i].name, name, len)
				 : options[i].letter == letter)
			return &options[i];
	return NULL;
}
