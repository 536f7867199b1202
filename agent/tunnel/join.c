/* SPDX-License-Identifier: Apache-2.0 */
/* join.c - from a proxy's type to what serves its users. Floor 5. */
#include "agent/tunnel/join.h"

#include "agent/base/log.h"
#include "agent/tunnel/pxudp.h"
#include "agent/tunnel/relay.h"

static int join_datagrams(struct joined_host *h, const struct conf *conf, struct end e,
			  struct proxy *proxy)
{
	struct pxudp_params p = {
		.proxy = proxy,
		.form = conf->wire == WIRE_V1 ? DGRAM_V1 : DGRAM_V2, /* binary is never offered */
		.packet_max = conf->udp_packet_size,
	};

	return pxudp_start(h, e, &p);
}

static int join_stream(struct joined_host *h, struct end e, struct proxy *proxy,
		       const struct msg_start_work_conn *start)
{
	struct relay_source source = {
		.src_addr = start->src_addr,
		.dst_addr = start->dst_addr,
		.src_port = (uint16_t) start->src_port,
		.dst_port = (uint16_t) start->dst_port,
	};

	return relay_start(h, e, proxy, &source);
}

static int join_wrapped(const struct join_env *env, struct end e, struct proxy *proxy,
			const struct msg_start_work_conn *start)
{
	switch (proxy->conf->kind) {
	case CONF_TYPE_UDP:
	case CONF_TYPE_SUDP: return join_datagrams(env->users, env->conf, e, proxy);
	case CONF_TYPE_TCP:
	case CONF_TYPE_HTTP:
	case CONF_TYPE_HTTPS:
	case CONF_TYPE_TCPMUX:
	case CONF_TYPE_STCP: return join_stream(env->users, e, proxy, start);
	}
	return -EINVAL;
}

int join_user(const struct join_env *env, struct end e, struct proxy *proxy,
	      const struct msg_start_work_conn *start)
{
	struct wrap_params p = {
		.name = proxy->conf->name,
		.use_encryption = proxy->conf->use_encryption,
		.use_compression = proxy->conf->use_compression,
		.secret = span_str(env->token),
		.bucket = proxy->has_bucket ? &proxy->bucket : NULL,
	};
	struct end top;
	int err;

	err = wrap_new(env->wraps, e, &p, &top);
	if (err != 0)
		return err;
	err = join_wrapped(env, top, proxy, start);
	if (err != 0) { /* it hears of no user: the wrap goes, and @e with it */
		log_warn(env->wraps->log, "user connection refused", "proxy", proxy->conf->name,
			 "error", "out of memory");
		end_rst(top);
		end_forget(top);
	}
	return 0;
}
