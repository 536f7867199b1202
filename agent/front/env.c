/* SPDX-License-Identifier: Apache-2.0 */
/* env.c - the configuration in environment variables. Floor 6.
 *
 * Two tables: what describes the MLNode (environment mode only), and what sets a struct conf (also
 * over a file). NODE_ID, ID_PREFIX, API_NODE and API_NODES are of no use here, and the image sets
 * them anyway: they are not looked at. */
#include "agent/front/env.h"

#include <stdio.h>
#include <string.h>

#include "agent/conf/file.h"
#include "agent/conf/key.h"
#include "proto/base/secret.h"
#include "proto/base/text.h"

#define ENV_SERVER_PORT 7200 /* where the frps of a network node listens */
#define ENV_ADMIN_PORT 7400  /* frp's example of webServer.port */
#define ENV_PREFIX "MLTUNNEL_"
#define ENV_STATE_DIR "/etc/frp" /* FRP_CONFIG_DIR in the image */
#define ENV_GRACE_MAX_MS 3600000
#define ENV_DOWN_MIN_MS 1000 /* less is a pause of Python, not silence */
#define ENV_DOWN_MAX_MS 86400000
#define ENV_PATH_MAX 1024
#define ENV_QUOTE 256
#define ENV_TOKEN "SECRET_FRP_TOKEN"
#define ENV_TOKEN_FILE "SECRET_FRP_TOKEN_FILE"
#define ENV_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The MLNode behind the two proxies. */
struct env_node {
	char id[5];
	uint16_t inference_port, poc_port;
	struct conf_ready ready;
};

static int env_set_server(const struct key *k, void *at, const char *value)
{
	struct conf *c = at;
	struct text_hostport hp;

	(void) k;
	if (text_parse_hostport(value, ENV_SERVER_PORT, &hp) != 0)
		return KEY_E_BAD;
	c->server_port = hp.port;
	return key_store(&c->server_host, hp.host);
}

static int env_set_id(const struct key *k, void *at, const char *value)
{
	(void) k;
	if (strlen(value) != 4 || strspn(value, "0123456789") != 4 || strcmp(value, "0000") == 0)
		return KEY_E_BAD;
	memcpy(at, value, 5);
	return 0;
}

/* Goes into the head of a request. */
static int env_set_path(const struct key *k, void *at, const char *value)
{
	struct conf_ready *ready = at;

	(void) k;
	ready->is_on = strcmp(value, "off") != 0;
	if (!ready->is_on)
		return key_store(&ready->path, NULL);
	if (value[0] != '/' || strlen(value) > ENV_PATH_MAX)
		return KEY_E_BAD;
	for (const char *p = value; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return KEY_E_BAD;
	return key_store(&ready->path, value);
}

static int env_set_down_after(const struct key *k, void *at, const char *value)
{
	uint64_t *place = at, ms;

	if (strcmp(value, "off") == 0) {
		*place = 0;
		return 0;
	}
	if (text_parse_duration(value, k->max, &ms) != 0 || ms < k->min)
		return KEY_E_BAD;
	*place = ms;
	return 0;
}

static int env_set_ca(const struct key *k, void *at, const char *value)
{
	struct conf_tls *tls = at;

	tls->want_system_roots = strcmp(value, "system") == 0;
	return tls->want_system_roots ? key_store(&tls->ca_file, NULL)
				      : key_file(k, &tls->ca_file, value);
}

/* Whether other machines may reach it there is a question for conf_check(). */
static int env_set_admin(const struct key *k, void *at, const char *value)
{
	struct conf_web *web = at;
	struct text_hostport hp;

	(void) k;
	if (text_parse_hostport(value, ENV_ADMIN_PORT, &hp) != 0 ||
	    (!text_is_ip(hp.host) && strcmp(hp.host, "localhost") != 0))
		return KEY_E_BAD;
	web->port = hp.port;
	return key_store(&web->addr, hp.host);
}

static int env_set_state_dir(const struct key *k, void *at, const char *value)
{
	struct conf *c = at;

	(void) k;
	c->is_state_dir_asked_for = true;
	return key_store(&c->state_dir, value);
}

/* clang-format off */
static const struct key node_keys[] = {
	KEY("CLIENT_ID", env_set_id, offsetof(struct env_node, id), "four digits (0001-9999)"),
	KEY("MLTUNNEL_INFERENCE_PORT", key_port, offsetof(struct env_node, inference_port), "a port (1-65535)"),
	KEY("MLTUNNEL_POC_PORT", key_port, offsetof(struct env_node, poc_port), "a port (1-65535)"),
	KEY("MLTUNNEL_READY_PATH", env_set_path, offsetof(struct env_node, ready),
	    "the path of a URL (/readyz), or off"),
	KEY("MLTUNNEL_DOWN_AFTER", env_set_down_after, offsetof(struct env_node, ready.down_after_ms),
	    "a time of 1s to 24h (30s, 2m), or off", .min = ENV_DOWN_MIN_MS, .max = ENV_DOWN_MAX_MS),
};
static const struct key server_key =
	KEY("FRP_SERVER", env_set_server, 0, "host:port (the port may be left out: 7200; an IPv6 address stands in brackets)");

static const struct key conf_keys[] = {
	KEY("MLTUNNEL_TLS", key_bool, offsetof(struct conf, tls.is_on), "on or off"),
	KEY("MLTUNNEL_TLS_CA", env_set_ca, offsetof(struct conf, tls), "a file that can be read, or \"system\""),
	KEY("MLTUNNEL_TLS_PIN", key_pin, offsetof(struct conf, tls.pin),
	    "the SHA-256 of a public key (sha256/ and 44 characters of base64, or 64 hex digits)"),
	KEY("MLTUNNEL_TLS_SERVER_NAME", key_host, offsetof(struct conf, tls.server_name), "a host name or an IP address"),
	KEY("MLTUNNEL_LOG_LEVEL", key_level, offsetof(struct conf, log_level), "trace, debug, info, warn or error"),
	KEY("MLTUNNEL_LOG_FORMAT", key_format, offsetof(struct conf, log_format), "text or json"),
	KEY("MLTUNNEL_GRACE", key_wait, offsetof(struct conf, grace_ms), "a time of at most 1h (10s, 500ms, 1m30s)",
	    .max = ENV_GRACE_MAX_MS),
	KEY("MLTUNNEL_POOL_COUNT", key_count, offsetof(struct conf, pool_count), "a number of connections (0-100)",
	    .max = 100),
	KEY("MLTUNNEL_REMOTE_ADDR_FILE", key_text, offsetof(struct conf, remote_addr_file), "the path of a file"),
	KEY("MLTUNNEL_STATE_DIR", env_set_state_dir, 0, "the path of a folder"),
	KEY("MLTUNNEL_ADMIN", env_set_admin, offsetof(struct conf, web),
	    "the address of the admin API, numeric or localhost, and its port (127.0.0.1:7400)"),
};
/* clang-format on */

/* The value of @name, or NULL. */
static char *env_find(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp != NULL; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=' && (*envp)[n + 1] != '\0')
			return *envp + n + 1;
	return NULL;
}

/* Overwrite each value of @name in place, then take the entries out. */
static void env_wipe(char **envp, const char *name)
{
	size_t n = strlen(name);
	char **kept = envp;

	for (; *envp != NULL; envp++) {
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			secret_wipe(*envp + n + 1, strlen(*envp + n + 1));
		else
			*kept++ = *envp;
	}
	*kept = NULL;
}

char **env_copy(char *const *envp)
{
	size_t n = 0;
	char **copy;

	while (envp[n] != NULL)
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n && copy != NULL; i++) {
		copy[i] = text_dup(envp[i], strlen(envp[i]));
		if (copy[i] == NULL) {
			env_copy_free(copy);
			copy = NULL;
		}
	}
	return copy;
}

void env_copy_free(char **copy)
{
	for (size_t i = 0; copy != NULL && copy[i] != NULL; i++)
		copy[i] = secret_free(copy[i]);
	free(copy);
}

bool env_is_asked_for(char *const *envp)
{
	return env_find(envp, "FRP_SERVER") != NULL || env_find(envp, "FRP_SERVERS") != NULL;
}

static int env_take(char *const *envp, const struct key *k, void *object, bool is_needed,
		    struct problems *p)
{
	const char *value = env_find(envp, k->name);

	if (value != NULL)
		return key_apply(k, object, k->name, value, p);
	if (is_needed)
		problems_add(p, "%s: not set; it has to be %s", k->name, k->right);
	return 0;
}

static void env_refuse_unknown(const char *name, size_t len, struct problems *p)
{
	size_t n_conf, n_node;
	const char *conf, *node;
	char quote[ENV_QUOTE];

	(void) text_escape(span_of(name, len), quote, sizeof(quote));
	conf = key_nearest(conf_keys, ENV_COUNT(conf_keys), quote, &n_conf);
	/* + 1: CLIENT_ID is not ours */
	node = key_nearest(node_keys + 1, ENV_COUNT(node_keys) - 1, quote, &n_node);
	problems_add(p, "%s: unknown variable; the nearest known one is %s", quote,
		     n_node < n_conf ? node : conf);
}

/* Whatever starts with our prefix is ours, so what we do not know is a mistake. */
static void env_check_names(char *const *envp, struct problems *p)
{
	for (; *envp != NULL; envp++) {
		size_t len = strcspn(*envp, "=");
		bool is_known = strncmp(*envp, ENV_PREFIX, strlen(ENV_PREFIX)) != 0;

		for (size_t i = 0; i < ENV_COUNT(conf_keys) && !is_known; i++)
			is_known = strlen(conf_keys[i].name) == len &&
				   memcmp(conf_keys[i].name, *envp, len) == 0;
		for (size_t i = 0; i < ENV_COUNT(node_keys) && !is_known; i++)
			is_known = strlen(node_keys[i].name) == len &&
				   memcmp(node_keys[i].name, *envp, len) == 0;
		if (!is_known)
			env_refuse_unknown(*envp, len, p);
	}
}

static int env_take_conf(char *const *envp, struct conf *c, struct problems *p)
{
	static const char *const tls_names[] = { "MLTUNNEL_TLS_CA", "MLTUNNEL_TLS_PIN",
						 "MLTUNNEL_TLS_SERVER_NAME" };
	int r;

	for (size_t i = 0; i < ENV_COUNT(conf_keys); i++) {
		r = env_take(envp, &conf_keys[i], c, /* is_needed= */ false, p);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ENV_COUNT(tls_names) && !c->tls.is_on; i++)
		if (env_find(envp, tls_names[i]) != NULL)
			problems_add(p, "%s: has no effect while TLS is off", tls_names[i]);
	env_check_names(envp, p);
	return 0;
}

static int env_take_token_file(const char *path, struct conf *c, struct problems *p)
{
	char why[FILE_WHY], quote[ENV_QUOTE], *token;
	int r;

	r = file_read_token(path, &token, why);
	if (r > 0)
		problems_add(p, "%s: \"%s\" cannot be used: %s", ENV_TOKEN_FILE,
			     text_escape(span_str(path), quote, sizeof(quote)), why);
	if (r != 0)
		return r < 0 ? r : 0;
	c->token = secret_free(c->token);
	c->token = token;
	return key_store(&c->token_file, path);
}

/* A token that was copied with the end of its line is the usual reason for a refused login. */
static bool env_is_clean(const char *token)
{
	size_t len = strlen(token);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char) token[i] < ' ' || token[i] == 0x7f)
			return false;
	return token[0] != ' ' && token[len - 1] != ' ';
}

static int env_take_token(char *const *envp, struct conf *c, struct problems *p)
{
	const char *token = env_find(envp, ENV_TOKEN), *path = env_find(envp, ENV_TOKEN_FILE);

	if (token != NULL && path != NULL) {
		problems_add(p, "%s: %s is set too; set only one of them", ENV_TOKEN_FILE,
			     ENV_TOKEN);
		return 0;
	}
	if (path != NULL)
		return env_take_token_file(path, c, p);
	if (token == NULL) {
		problems_add(
			p,
			"%s: not set; it has to be the token of the server (or %s the path of a file with it)",
			ENV_TOKEN, ENV_TOKEN_FILE);
		return 0;
	}
	if (!env_is_clean(token)) {
		problems_add(
			p,
			"%s: its value (not shown) has a control character inside or a space at an end",
			ENV_TOKEN);
		return 0;
	}
	c->token = secret_free(c->token);
	c->token = text_dup(token, strlen(token));
	return c->token == NULL ? -ENOMEM : 0;
}

/* The network node knows the proxies by these names and looks for them at these ports. */
static int env_add_proxy(struct conf *c, const char *name, const char *id, char digit,
			 uint16_t local_port)
{
	char full_name[64], port[6];
	struct conf_proxy *proxy;
	int r;

	(void) snprintf(full_name, sizeof(full_name), "%s-%s", name, id);
	(void) snprintf(port, sizeof(port), "%c%s", digit, id);
	r = conf_add_proxy(c, full_name, &proxy);
	if (r < 0)
		return r;
	proxy->local_port = local_port;
	MUST(text_parse_port(port, &proxy->remote_port) == 0); /* 10001 to 29999 */
	return 0;
}

static int env_take_node(char *const *envp, struct conf *c, struct problems *p)
{
	/* Where the web server in front of the node's services listens. */
	struct env_node node = {
		.inference_port = 5050,
		.poc_port = 8081,
		.ready.is_on = true,
	};
	int r;

	for (size_t i = 0; i < ENV_COUNT(node_keys); i++) {
		r = env_take(envp, &node_keys[i], &node, /* is_needed= */ i == 0, p);
		c->ready = node.ready; /* its path is @c's from the start */
		if (r < 0)
			return r;
	}
	if (node.ready.down_after_ms != 0 && !node.ready.is_on)
		problems_add(p,
			     "MLTUNNEL_DOWN_AFTER: has no effect while MLTUNNEL_READY_PATH is off");
	if (node.id[0] == '\0')
		return 0; /* said so */
	r = env_add_proxy(c, "client-mlnode-port5000", node.id, '1', node.inference_port);
	if (r < 0)
		return r;
	c->ready.proxy = c->n_proxies;
	return env_add_proxy(c, "client-mlnode", node.id, '2', node.poc_port);
}

/* Without a word: the folder that the image has for frpc, when it can be written. */
static int env_find_state_dir(char *const *envp, struct conf *c)
{
	const char *folder = env_find(envp, "FRP_CONFIG_DIR");

	if (c->state_dir != NULL)
		return 0;
	return key_store(&c->state_dir, folder != NULL ? folder : ENV_STATE_DIR);
}

static int env_take_all(char **envp, struct problems *p, struct conf *c)
{
	const char *servers = env_find(envp, "FRP_SERVERS");
	int r;

	if (servers != NULL)
		problems_add(
			p,
			"FRP_SERVERS: not supported by this version; set FRP_SERVER to one host:port");
	c->server_port = ENV_SERVER_PORT;
	c->all_or_none = true;
	r = env_take(envp, &server_key, c, /* is_needed= */ servers == NULL, p);
	if (r < 0)
		return r;
	r = env_take_token(envp, c, p);
	if (r < 0)
		return r;
	r = env_take_node(envp, c, p);
	if (r < 0)
		return r;
	r = env_take_conf(envp, c, p);
	return r < 0 ? r : env_find_state_dir(envp, c);
}

int env_load(char **envp, struct problems *p, struct conf **ret_c)
{
	CLEANUP(conf_free) struct conf *c = conf_new();
	int r = -ENOMEM;

	if (c != NULL) {
		c->source = text_dup("environment", strlen("environment"));
		if (c->source != NULL)
			r = env_take_all(envp, p, c);
	}
	env_wipe(envp, ENV_TOKEN);
	if (r < 0)
		return r;
	*ret_c = TAKE(c);
	return 0;
}

int env_apply(char **envp, struct problems *p, struct conf *c)
{
	env_wipe(envp, ENV_TOKEN);
	for (size_t i = 0; i < ENV_COUNT(node_keys); i++)
		if (strncmp(node_keys[i].name, ENV_PREFIX, strlen(ENV_PREFIX)) == 0 &&
		    env_find(envp, node_keys[i].name) != NULL)
			problems_add(
				p,
				"%s: has no effect with a configuration file, which describes the proxies itself",
				node_keys[i].name);
	return env_take_conf(envp, c, p);
}
